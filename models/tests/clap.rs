//! CLAP against transformers' `ClapModel` in both published layouts, on fixtures of `scripts/reference/clap.py`.
#![allow(clippy::unwrap_used)]

#[path = "common/taps.rs"]
mod taps;

use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::clap::{ClapAudio, ClapAudioConfig, ClapConfig, ClapText, ClapTextConfig, ClapTokenizer};
use nocturne_models::parameters;
use taps::{Taps, fixture, host};

const LAYOUTS: [&str; 2] = ["clap/transformers", "clap/laion.pt"];

fn open(layout: &str) -> (ClapAudioConfig, ClapAudio) {
    ClapAudio::open(&fixture(layout), &Device::flex()).unwrap()
}

fn taps() -> Taps {
    Taps::open("clap/taps.safetensors", &Device::flex())
}

/// As the script makes it.
fn mel(count: usize, frames: usize) -> Tensor<4> {
    let value = |index: usize| {
        let (item, frame, band) = (index / (frames * 64), index / 64 % frames, index % 64);
        let [i, f, b] = [item, frame, band].map(|index| index as f64);
        let slow = 20.0 * libm::sin(0.05 * f + 0.3 * b + i);
        let fast = 15.0 * libm::cos(0.011 * f * (1 + band % 7) as f64 - 2.0 * i);
        (-40.0 + slow + fast) as f32
    };
    let values: Vec<f32> = (0..count * frames * 64).map(value).collect();
    Tensor::from_data(TensorData::new(values, [count, 1, frames, 64]), &Device::flex())
}

/// Every `step`th of an axis.
fn every<const D: usize>(tensor: Tensor<D>, axis: usize, step: usize) -> Tensor<D> {
    let places = (0..tensor.dims()[axis]).step_by(step);
    Tensor::cat(places.map(|place| tensor.clone().narrow(axis, place, 1)).collect(), axis)
}

#[test]
fn every_stage_matches() {
    let (_, network) = open(LAYOUTS[0]);
    let (taps, branch) = (taps(), &network.audio_branch);
    let picture = branch.picture(mel(1, 1001));
    taps.compare("picture.1001", &every(every(picture.clone(), 2, 7), 3, 7));
    let mut hidden = branch.patch_embed.forward(picture);
    taps.compare("tokens.1001", &every(hidden.clone(), 1, 3));
    for (index, stage) in branch.layers.iter().enumerate() {
        hidden = stage.forward(hidden);
        taps.compare(&format!("layers.{index}.1001"), &hidden);
    }
    taps.compare(
        "pooled.1001",
        &Tensor::cat(vec![branch.pooled(hidden), branch.forward(mel(2, 1001)).narrow(0, 1, 1)], 0),
    );
}

#[test]
fn vectors_match_in_both_layouts_at_any_length() {
    for layout in LAYOUTS {
        let (_, network) = open(layout);
        for frames in [600, 1001, 1024] {
            let vectors = network.forward(mel(2, frames));
            taps().compare(&format!("output.{frames}"), &vectors);
            for length in host(&vectors.square().sum_dim(1)) {
                assert!((length - 1.0).abs() < 1e-5, "{length}");
            }
        }
    }
}

#[test]
fn a_clip_is_heard_the_same_alone_and_in_a_batch() {
    let (_, network) = open(LAYOUTS[1]);
    let together = host(&network.forward(mel(2, 1001)));
    let alone: Vec<f32> = (0..2).flat_map(|item| host(&network.forward(mel(2, 1001).narrow(0, item, 1)))).collect();
    assert_eq!(alone, together);
}

#[test]
fn the_layouts_hold_the_same_network() {
    let values = |network: &ClapAudio| {
        let mut all = Vec::new();
        parameters::visit(network, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
        all
    };
    let [(described, first), (inferred, second)] = LAYOUTS.map(open);
    assert_eq!(described, inferred);
    assert_eq!(values(&first), values(&second));
    assert_eq!(described.depths, [2, 2, 2, 2]);
}

/// As transformers counts them.
#[test]
fn published_networks_have_their_published_sizes() {
    let base = ClapAudioConfig {
        patch_embeds_hidden_size: 128,
        hidden_size: 1024,
        depths: vec![2, 2, 12, 2],
        ..ClapAudioConfig::default()
    };
    for (audio_config, expected) in [(ClapAudioConfig::default(), 27_534_488 + 656_384), (base, 67_824_408 + 787_456)] {
        let config = ClapConfig { audio_config, ..ClapConfig::default() };
        config.validate().unwrap();
        let count: usize = parameters::shapes(&ClapAudio::new(&config, &Device::flex()))
            .iter()
            // Statistics are no parameters there.
            .filter(|(name, _)| !name.contains("running_"))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        assert_eq!(count, expected);
    }
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let good = ClapAudioConfig::default;
    let cases = [
        (ClapAudioConfig { enable_fusion: true, ..good() }, "enable_fusion"),
        (ClapAudioConfig { hidden_act: "relu".to_owned(), ..good() }, "hidden_act"),
        (ClapAudioConfig { window_size: 7, ..good() }, "window_size"),
        (ClapAudioConfig { window_size: 0, ..good() }, "window_size"),
        (ClapAudioConfig { num_mel_bins: 48, ..good() }, "num_mel_bins"),
        (ClapAudioConfig { patch_size: 1 << 40, ..good() }, "patch_size"),
        (ClapAudioConfig { patch_stride: [2, 2], ..good() }, "patch_stride"),
        (ClapAudioConfig { depths: vec![2, 2], ..good() }, "num_attention_heads"),
        (ClapAudioConfig { depths: Vec::new(), ..good() }, "depths"),
        (ClapAudioConfig { num_attention_heads: vec![4, 8, 16, 0], ..good() }, "num_attention_heads"),
        (ClapAudioConfig { hidden_size: 96, ..good() }, "hidden_size"),
        (ClapAudioConfig { mlp_ratio: f64::NAN, ..good() }, "mlp_ratio"),
        (ClapAudioConfig { layer_norm_eps: 0.0, ..good() }, "layer_norm_eps"),
    ];
    for (audio_config, field) in cases {
        let config = ClapConfig { audio_config, ..ClapConfig::default() };
        assert_eq!(config.validate().unwrap_err().field, field);
    }
    let wide = ClapConfig { projection_dim: 0, ..ClapConfig::default() };
    assert_eq!(wide.validate().unwrap_err().field, "projection_dim");
}

#[test]
fn files_that_are_no_clap_are_refused() {
    let refused = |path: &Path| ClapAudio::open(path, &Device::flex()).err().unwrap().to_string();
    let message = refused(&fixture("vggish/vggish.pth"));
    assert!(message.contains("vggish.pth") && message.contains("depths"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert!(refused(folder.path()).contains("config.json"));
    fs::copy(fixture("clap/transformers/model.safetensors"), path("model.safetensors")).unwrap();
    let good = fs::read_to_string(fixture("clap/transformers/config.json")).unwrap();
    fs::write(path("config.json"), &good[..good.len() / 2]).unwrap();
    assert!(refused(folder.path()).contains("config.json"));
    fs::write(path("config.json"), good.replace("\"projection_dim\": 12", "\"projection_dim\": 16")).unwrap();
    assert!(refused(folder.path()).contains("misshapen"));
}

/// The texts of the fixture's batch.
fn texts() -> Vec<Vec<u32>> {
    let taps = taps();
    let [ids, mask] = ["ids", "mask"].map(|name| taps.file.read(name).unwrap());
    let length = taps.file.shape("ids").unwrap()[1];
    let kept = |ids: &[f32], mask: &[f32]| {
        ids.iter().zip(mask).filter(|(_, mask)| **mask > 0.0).map(|(id, _)| *id as u32).collect()
    };
    ids.chunks(length).zip(mask.chunks(length)).map(|(ids, mask)| kept(ids, mask)).collect()
}

#[test]
fn texts_match_alone_and_in_a_batch() {
    let (_, network) = ClapText::open(&fixture(LAYOUTS[0]), &Device::flex()).unwrap();
    let (taps, texts) = (taps(), texts());
    let states = network.text_branch.states(&texts);
    for (index, state) in states.iter().enumerate() {
        let expected = taps.tensor::<3>(&format!("text_states.{index}"));
        // Where a text is filled up, states mean nothing.
        for (item, text) in texts.iter().enumerate() {
            let real = |state: &Tensor<3>| host(&state.clone().narrow(0, item, 1).narrow(1, 0, text.len()));
            let (found, expected) = (real(state), real(&expected));
            let largest = found.iter().zip(&expected).fold(0.0f32, |largest, (a, b)| largest.max((a - b).abs()));
            assert!(largest < 1e-4, "state {index} of text {item}: {largest:e}");
        }
    }
    taps.compare("text_pooled", &network.text_branch.pooled(states.last().unwrap().clone()));
    taps.compare("text_output", &network.forward(&texts));
    let alone = Tensor::cat(texts.iter().map(|text| network.forward(std::slice::from_ref(text))).collect(), 0);
    taps.compare("text_output", &alone);
}

#[test]
fn laions_file_holds_the_same_text_branch() {
    let values = |layout: &str| {
        let (config, network) = ClapText::open(&fixture(layout), &Device::flex()).unwrap();
        let mut all = Vec::new();
        parameters::visit(&network, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
        (config, all)
    };
    let [(described, first), (inferred, second)] = LAYOUTS.map(values);
    assert_eq!(first, second);
    // Its heads are known by their width, which the fixture's do not have.
    assert_eq!(described, ClapTextConfig { num_attention_heads: described.num_attention_heads, ..inferred });
}

/// As transformers counts them.
#[test]
fn the_published_text_branch_has_its_published_size() {
    let network = ClapText::new(&ClapConfig::default(), &Device::flex());
    let shapes = parameters::shapes(&network);
    let count = |prefix: &str| -> usize {
        let of_branch = shapes.iter().filter(|(name, _)| name.starts_with(prefix));
        of_branch.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    };
    assert_eq!([count("text_branch."), count("text_projection.")], [124_645_632, 656_384]);
}

#[test]
fn tokens_are_those_of_transformers() {
    let file = |name: &str| fixture(&format!("{}/{name}", LAYOUTS[0]));
    let tokenizer = ClapTokenizer::open(&file("tokenizer.json"), 18).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(file("tokens.json")).unwrap()).unwrap();
    for case in &cases {
        let text = case["text"].as_str().unwrap();
        let ids: Vec<u32> = case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
    }
    assert!(cases.len() > 4 && tokenizer.vocab_size() <= 300);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let good = fs::read_to_string(file("tokenizer.json")).unwrap();
    for bad in [String::new(), "{}".to_owned(), good.replace("\"<s>\"", "\"<begin>\"")] {
        fs::write(&path, bad).unwrap();
        assert!(ClapTokenizer::open(&path, 77).err().unwrap().to_string().contains("tokenizer.json"));
    }
}
