//! `nocturne musicgen`: a module a command, and what they are run on.

mod audiocraft;
mod r#continue;
mod export;
mod generate;
mod melody;
mod stream;

use super::support::{Run, run};
use burn::tensor::Device;
use nocturne::npy;
use nocturne_models::musicgen::MusicgenConfig;
use nocturne_models::network;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with `model/`: a MusicGen of a few thousand random numbers at 8 kHz, 200 frames a second.
fn with_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures");
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for (from, file) in [
        ("musicgen/whole", "config.json"),
        ("musicgen/whole", "model.safetensors"),
        ("t5/flan", "tokenizer.json"),
        ("t5/flan", "tokenizer_config.json"),
    ] {
        fs::copy(fixtures.join(from).join(file), model.join(file)).unwrap();
    }
    folder
}

fn generate(folder: &Path, output: &str, arguments: &[&str]) -> Run {
    let command = ["musicgen", "generate", "--model", "model", "--device", "cpu", "--json", "--output-dir", output];
    run(folder, &[&command[..], arguments].concat())
}

fn codes(file: PathBuf) -> npy::Array<i64> {
    npy::read(&file).unwrap()
}

const PROMPTS: &str =
    r#"{"two.mp3": "Slow ambient music, made for sleep", "one": "A soft piano melody over warm strings."}"#;

/// The same model in `native/`, as audiocraft exports it: with the codec that it names beside it, and no text encoder, which is in
/// `model/t5`.
fn with_native_model() -> tempfile::TempDir {
    let folder = with_model();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures");
    let [model, native] = ["model", "native"].map(|name| folder.path().join(name));
    fs::create_dir(&native).unwrap();
    for file in ["state_dict.bin", "compression_state_dict.bin"] {
        fs::copy(fixtures.join("musicgen/audiocraft").join(file), native.join(file)).unwrap();
    }
    let (config, network) = network::open::<MusicgenConfig>(&model, &Device::flex()).unwrap();
    network::save(&config.text_encoder, &network.text_encoder, &model.join("t5")).unwrap();
    fs::copy(model.join("tokenizer.json"), model.join("t5/tokenizer.json")).unwrap();
    network::save(&config.audio_encoder, &network.audio_encoder, &folder.path().join("codec")).unwrap();
    folder
}

fn of_native(folder: &Path, output: &str, arguments: &[&str]) -> Run {
    let command = ["musicgen", "generate", "--model", "native", "--device", "cpu", "--json", "--output-dir", output];
    run(folder, &[&command[..], arguments].concat())
}
