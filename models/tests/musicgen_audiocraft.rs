//! MusicGen in audiocraft's files, against the same model in transformers' folder: fixtures of `scripts/reference/musicgen.py`.
#![allow(clippy::unwrap_used)]

mod taps;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use nocturne_models::encodec;
use nocturne_models::musicgen::{Audiocraft, Generation, Musicgen, MusicgenConfig, Padding, Sampling, generate};
use nocturne_models::network::{self, NetworkError};
use nocturne_models::parameters;
use nocturne_models::t5::T5Config;
use taps::{Taps, host};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn whole() -> (MusicgenConfig, Musicgen) {
    network::open(&fixture("musicgen/whole"), &Device::flex()).unwrap()
}

/// The language model in a file, between the text encoder of `whole` and the codec in another file.
fn open_with(file: &Path, codec: &Path) -> Result<(MusicgenConfig, Musicgen), NetworkError> {
    let device = Device::flex();
    let (config, network) = whole();
    let model = Audiocraft::open(file)?;
    model.load((config.text_encoder, network.text_encoder), encodec::open(codec, &device)?, &device)
}

fn open(name: &str) -> (MusicgenConfig, Musicgen) {
    let folder = fixture("musicgen/audiocraft");
    open_with(&folder.join(name), &folder).unwrap()
}

fn values<M: Module>(network: &M) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let mut all = Vec::new();
    parameters::visit(network, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
    all
}

#[test]
fn both_layouts_give_one_model() {
    let (config, network) = open("state_dict.bin");
    let (mut expected_config, expected) = whole();
    // Which is that of the encodings, either way.
    expected_config.audio_encoder.codebook_dim = None;
    assert_eq!(config, expected_config);
    assert_eq!(values(&network), values(&expected));
    let model = Audiocraft::open(&fixture("musicgen/audiocraft/state_dict.bin")).unwrap();
    assert_eq!((model.text_encoder(), model.segment_duration()), ("t5-base", 30.0));
}

/// The names of PyTorch's own attention, one level deeper, in half precision.
#[test]
fn a_training_in_float16_is_read() {
    let (_, network) = open("half.bin");
    let (_, expected) = whole();
    for ((name, shape, found), (_, expected_shape, expected)) in values(&network).iter().zip(values(&expected)) {
        assert_eq!(*shape, expected_shape, "{name}");
        for (found, expected) in found.iter().zip(expected) {
            // Half a unit in the last of 11 bits; below the normal numbers, in absolute terms.
            assert!((found - expected).abs() <= (expected.abs() / 2048.0).max(3e-8), "{name}: {found}, {expected}");
        }
    }
}

#[test]
fn tokens_are_equal_where_padding_is_attended() {
    let (config, network) = open("state_dict.bin");
    let taps = Taps::open(&fixture("musicgen/whole/taps.safetensors"), 1e-4);
    let mask = taps.tensor::<2>("mask");
    let encodings = network.text_encoder.forward(taps.tensor::<2>("ids").int(), Some(mask));
    taps.compare("states", &network.caption(encodings.clone(), &[6, 3]));
    let made = |padding: Padding| {
        let condition = network.condition(encodings.clone(), &[6, 3], padding);
        let generation = Generation {
            frames: 40,
            prompts: &vec![vec![Vec::new(); 4]; 2],
            sampling: Sampling::GREEDY,
            guidance_scale: 3.0,
            two_step_cfg: false,
            seeds: &[0, 0],
        };
        let go_on = |_: usize, _: &[Vec<Vec<usize>>]| ControlFlow::Continue(());
        generate(&network.decoder, &config.decoder, Some(&condition), &generation, go_on).unwrap()
    };
    let codes = Taps::open(&fixture("musicgen/audiocraft/generated.safetensors"), 1e-4).tensor::<3>("codes");
    let expected: Vec<usize> = host(&codes).into_iter().map(|code| code as usize).collect();
    let found = made(Padding::Attended);
    assert_eq!(found.concat().concat(), expected);
    // The first caption fills the batch, the second does not.
    let hidden = made(Padding::Hidden);
    assert_eq!(hidden[0], found[0]);
    assert_ne!(hidden[1], found[1]);
}

#[test]
fn wrong_files_are_named() {
    let folder = fixture("musicgen/audiocraft");
    let refused = |file: &Path, codec: &Path, words: &[&str]| {
        let message = open_with(file, codec).err().unwrap().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    let state = folder.join("state_dict.bin");
    refused(&folder.join("absent.bin"), &folder, &["absent.bin"]);
    refused(
        &folder.join("compression_state_dict.bin"),
        &folder,
        &["compression_state_dict.bin", "lm_model", "nothing"],
    );
    refused(&fixture("musicgen/whole/model.safetensors"), &folder, &["model.safetensors", "xp.cfg", "export_lm"]);
    refused(&state, &fixture("encodec/encodec_24khz.th"), &["state_dict.bin", "sample_rate", "8000", "24000"]);
    refused(&state, &fixture("encodec/pointer.bin"), &["pointer.bin", "facebook/encodec_32khz"]);
}

#[test]
fn damaged_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("state_dict.bin");
    let whole = std::fs::read(fixture("musicgen/audiocraft/state_dict.bin")).unwrap();
    let refused = |bytes: &[u8], words: &[&str]| {
        std::fs::write(&damaged, bytes).unwrap();
        let message = open_with(&damaged, &fixture("musicgen/audiocraft")).err().unwrap().to_string();
        assert!(message.contains("state_dict.bin") && words.iter().all(|word| message.contains(word)), "{message}");
    };
    for length in [0, 100, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..length], &[]);
    }
    // One bit of the description, which has a sum to be checked by.
    let place = whole.windows(6).position(|bytes| bytes == b"n_q: 4").unwrap();
    let mut flipped = whole.clone();
    flipped[place + 5] ^= 1;
    refused(&flipped, &["checksum"]);
}

/// transformers has no projection between equal widths, audiocraft always has one.
#[test]
fn a_text_encoder_of_the_same_width_is_refused() {
    let device = Device::flex();
    let folder = fixture("musicgen/audiocraft");
    let model = Audiocraft::open(&folder.join("state_dict.bin")).unwrap();
    let text = network::open::<T5Config>(&fixture("t5/flan"), &device).unwrap();
    assert_eq!(text.0.d_model, 24);
    let error = model.load(text, encodec::open(&folder, &device).unwrap(), &device).err().unwrap().to_string();
    assert!(error.contains("transformer_lm.dim") && error.contains("24"), "{error}");
}
