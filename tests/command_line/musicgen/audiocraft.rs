use super::super::support::{Run, nocturne, run};
use super::{PROMPTS, codes, generate, of_native, with_native_model};
use std::fs;
use std::path::Path;

#[test]
fn audiocrafts_files_make_the_same_music() {
    let folder = with_native_model();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("prompts.json"), PROMPTS).unwrap();
    let arguments = ["--prompts", "prompts.json", "--duration", "0.5", "--top-k", "12", "--save-codes", "--seed", "5"];
    let native = [&arguments[..], &["--text-encoder", "model/t5"]].concat();
    let both = ["one", "two"];
    let made = |output: &str| both.map(|name| codes(at(output).join(format!("{name}.npy"))).values);
    generate(folder.path(), "theirs", &arguments).ends_with(0);
    of_native(folder.path(), "alone", &native).ends_with(0);
    assert_eq!(made("alone"), made("theirs"));

    // In a batch, what fills the shorter caption is attended to, unless it is said otherwise.
    let together = [&native[..], &["--batch-size", "2"]].concat();
    of_native(folder.path(), "attended", &together).ends_with(0);
    of_native(folder.path(), "hidden", &[&together[..], &["--set", "sampling.padding=hidden"]].concat()).ends_with(0);
    let asked = [&arguments[..], &["--batch-size", "2", "--set", "sampling.padding=attended"]].concat();
    generate(folder.path(), "asked", &asked).ends_with(0);
    assert_eq!(made("hidden"), made("alone"));
    assert_eq!(made("asked"), made("attended"));
    assert_ne!(made("attended"), made("alone"));
    let resolved = fs::read_to_string(at("attended/nocturne.yaml")).unwrap();
    assert!(resolved.contains("padding: attended"), "{resolved}");

    // A text encoder that lies there, and a codec that is only named.
    fs::rename(at("model/t5"), at("native/text_encoder")).unwrap();
    let pointer = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/encodec/pointer.bin");
    fs::copy(pointer, at("native/compression_state_dict.bin")).unwrap();
    fs::rename(at("codec"), at("native/encodec_32khz")).unwrap();
    of_native(folder.path(), "pointed", &arguments).ends_with(0);
    assert_eq!(made("pointed"), made("theirs"));
    for name in ["two.mp3", "one.wav"] {
        assert_eq!(fs::read(at("pointed").join(name)).unwrap(), fs::read(at("theirs").join(name)).unwrap());
    }
}

#[test]
fn what_audiocraft_only_names_is_looked_for() {
    let folder = with_native_model();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("cache")).unwrap();
    let refused = |arguments: &[&str], words: &[&str]| {
        let command = ["musicgen", "generate", "--device", "cpu", "--prompt", "a", "--output-dir", "out"];
        let mut command = nocturne(folder.path(), &[&command[..], arguments].concat());
        let output = command.env("HF_HUB_CACHE", at("cache")).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Run { code: output.status.code().unwrap_or(-1), stdout, stderr }.ends_with(2).complains(words);
        assert!(!at("out").exists());
    };
    refused(&["--model", "native"], &["google-t5/t5-base", "HF_HUB_OFFLINE"]);
    refused(&["--model", "model", "--text-encoder", "model/t5"], &["model", "text encoder of its own"]);
    refused(&["--model", "native", "--text-encoder", "model/t6"], &["model/t6"]);
    let pointer = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/encodec/pointer.bin");
    fs::copy(pointer, at("native/compression_state_dict.bin")).unwrap();
    refused(&["--model", "native", "--text-encoder", "model/t5"], &["facebook/encodec_32khz", "HF_HUB_OFFLINE"]);
    fs::create_dir(at("training")).unwrap();
    fs::copy(at("model/model.safetensors"), at("training/checkpoint.th")).unwrap();
    refused(&["--model", "training"], &["checkpoint.th", "not the state of a training"]);
    fs::copy(at("model/model.safetensors"), at("native/state_dict.bin")).unwrap();
    refused(&["--model", "native", "--text-encoder", "model/t5"], &["state_dict.bin", "not a readable checkpoint"]);
}

#[test]
fn the_state_of_a_training_makes_the_music_of_its_export() {
    let folder = with_native_model();
    let at = |name: &str| folder.path().join(name);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/musicgen/audiocraft");
    for (model, from, file) in [("half", "half.bin", "state_dict.bin"), ("training", "checkpoint.th", "checkpoint.th")]
    {
        fs::create_dir(at(model)).unwrap();
        fs::copy(fixtures.join(from), at(model).join(file)).unwrap();
    }
    fs::copy(at("native/compression_state_dict.bin"), at("half/compression_state_dict.bin")).unwrap();
    // What the training names, by the last part of its name.
    fs::rename(at("codec"), at("training/codec")).unwrap();
    let made = |model: &str| {
        let command = ["musicgen", "generate", "--model", model, "--text-encoder", "model/t5", "--output-dir"];
        let output = format!("by-{model}");
        let asked = [&output, "--prompt", "sleep", "--duration", "0.5", "--save-codes", "--seed", "3", "-q"];
        run(folder.path(), &[&command[..], &asked].concat()).ends_with(0);
        codes(at(&output).join("000000.npy"))
    };
    assert_eq!(made("training").values, made("half").values);
    fs::remove_dir_all(at("training/codec")).unwrap();
    let command = ["musicgen", "generate", "--model", "training", "--text-encoder", "model/t5", "--prompt", "sleep"];
    let refused = run(folder.path(), &[&command[..], &["--output-dir", "none"]].concat());
    refused.ends_with(2).complains(&["owner/codec"]);
}
