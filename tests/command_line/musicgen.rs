use super::interpreter::python;
use super::support::{Run, contents, nocturne, run};
use burn::tensor::Device;
use nocturne::npy;
use nocturne_models::musicgen::MusicgenConfig;
use nocturne_models::{network, parameters};
use nocturne_vocoder::audio::Audio;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    fs::copy(at("native/state_dict.bin"), at("training/checkpoint.th")).unwrap();
    refused(&["--model", "training"], &["checkpoint.th", "export_lm"]);
    fs::copy(at("model/model.safetensors"), at("native/state_dict.bin")).unwrap();
    refused(&["--model", "native", "--text-encoder", "model/t5"], &["state_dict.bin", "not a readable checkpoint"]);
}

fn export(folder: &Path, model: &str, output: &str, format: &str) -> Run {
    let command = ["musicgen", "export", "--model", model, "--device", "cpu", "--json", "--output-dir", output];
    run(folder, &[&command[..], &["--format", format]].concat())
}

/// The parameters of a folder of transformers.
fn parameters_of(folder: &Path) -> Vec<(String, Vec<f32>)> {
    let (_, network) = network::open::<MusicgenConfig>(folder, &Device::flex()).unwrap();
    let mut all = Vec::new();
    parameters::visit(&network, |name, _, values| {
        all.push((name.to_owned(), values.into_data().iter::<f32>().collect()));
    });
    all
}

#[test]
fn a_model_goes_to_the_other_family_and_back() {
    let folder = with_model();
    let at = |name: &str| folder.path().join(name);
    let result = export(folder.path(), "model", "native", "audiocraft").ends_with(0).json();
    assert_eq!(result["output_dir"], "native");
    export(folder.path(), "native", "back", "transformers").ends_with(0);
    let (before, after) = (parameters_of(&at("model")), parameters_of(&at("back")));
    assert_eq!(before.len(), after.len());
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        for (before, after) in before.iter().zip(after) {
            // Weight norm was folded and taken apart again, which rounds; nothing else does.
            let bound = if name.starts_with("audio_encoder") { 2e-7 * before.abs() } else { 0.0 };
            assert!((before - after).abs() <= bound, "{name}: {before}, {after}");
        }
    }
    let arguments = ["--prompt", "soft rain", "--duration", "0.5", "--top-k", "12", "--save-codes"];
    let made = ["model", "native", "back"].map(|model| {
        let output = format!("from-{model}");
        let command = ["musicgen", "generate", "--model", model, "--device", "cpu", "--output-dir", &output];
        run(folder.path(), &[&command[..], &arguments].concat()).ends_with(0);
        codes(at(&output).join("000000.npy")).values
    });
    assert_eq!((&made[0], &made[0]), (&made[1], &made[2]));

    export(folder.path(), "model", "native", "transformers").ends_with(2).complains(&["native", "not empty"]);
    export(folder.path(), "nothing", "new", "transformers").ends_with(2).complains(&["nothing"]);
    assert!(!at("new").exists());
}

/// What audiocraft wrote, exported, in Python: nothing is missing, nothing is left over, and the tokens and the audio are those of
/// the model that it was made of.
#[test]
fn transformers_opens_what_is_exported() {
    let Some(python) = python("safetensors, torch, transformers") else { return };
    let folder = with_native_model();
    let at = |name: &str| folder.path().join(name);
    fs::rename(at("model/t5"), at("native/text_encoder")).unwrap();
    export(folder.path(), "native", "exported", "transformers").ends_with(0);
    export(folder.path(), "model", "packages", "audiocraft").ends_with(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reference/musicgen_export.py");
    let output = Command::new(python).arg(script).arg(folder.path()).env("HF_HUB_OFFLINE", "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

const PROMPTS: &str =
    r#"{"two.mp3": "Slow ambient music, made for sleep", "one": "A soft piano melody over warm strings."}"#;

#[test]
fn captions_become_files() {
    let folder = with_model();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("prompts.json"), PROMPTS).unwrap();
    let arguments = ["--prompts", "prompts.json", "--duration", "0.5", "--top-k", "12", "--save-codes", "--seed", "5"];
    let result = generate(folder.path(), "out", &arguments).ends_with(0).json();
    assert_eq!((&result["files"], &result["kept"], &result["interrupted"]), (&2.into(), &0.into(), &false.into()));
    assert!(result["frames_per_second"].as_f64().unwrap() > 0.0);
    let audio = Audio::decode(&at("out/one.wav")).unwrap();
    assert_eq!((audio.sample_rate, audio.channels.len(), audio.frames()), (8_000, 1, 4_000));
    assert!(Audio::decode(&at("out/two.mp3")).unwrap().frames() > 3_000);
    let one = codes(at("out/one.npy"));
    assert_eq!(one.shape, [4, 100]);
    assert!(one.values.iter().all(|code| (0..32).contains(code)));
    let manifest = fs::read_to_string(at("out/manifest.jsonl")).unwrap();
    let lines: Vec<Value> = manifest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["file"].as_str().unwrap()).collect::<Vec<_>>(), ["one.wav", "two.mp3"]);

    // In company each is the same as alone.
    generate(folder.path(), "together", &[&arguments[..], &["--batch-size", "2"]].concat()).ends_with(0);
    assert_eq!(codes(at("together/one.npy")).values, one.values);
    assert_eq!(codes(at("together/two.npy")).values, codes(at("out/two.npy")).values);

    // Once more, nothing is to be done; what is lost is made again, the same.
    let before = contents(&at("out"));
    let again = generate(folder.path(), "out", &arguments).ends_with(0).json();
    assert_eq!((&again["files"], &again["kept"]), (&0.into(), &2.into()));
    fs::remove_file(at("out/one.wav")).unwrap();
    let again = generate(folder.path(), "out", &arguments).ends_with(0).json();
    assert_eq!((&again["files"], &again["kept"]), (&1.into(), &1.into()));
    assert_eq!(contents(&at("out")), before);
    let other = generate(folder.path(), "out", &[&arguments[..], &["--temperature", "0.5"]].concat());
    assert_eq!(other.ends_with(0).json()["files"], 2);
}

/// Windows of thirty seconds: the second goes on from the end of the first.
#[test]
fn music_is_longer_than_a_window() {
    let folder = with_model();
    let long = ["--prompt", "bass", "--guidance-scale", "1", "--greedy", "--save-codes", "--strategy", "clip"];
    for (output, seconds) in [("long", "30.5"), ("short", "30")] {
        generate(folder.path(), output, &[&long[..], &["--duration", seconds]].concat()).ends_with(0);
    }
    let [long, short] = ["long", "short"].map(|output| codes(folder.path().join(output).join("000000.npy")));
    assert_eq!((long.shape[1], short.shape[1]), (6_100, 6_000));
    for (long, short) in long.values.chunks(6_100).zip(short.values.chunks(6_000)) {
        assert_eq!(long[..6_000], *short);
    }
}

#[test]
fn an_empty_caption_guides_nothing_and_is_said() {
    let folder = with_model();
    let run = generate(folder.path(), "out", &["--prompt", "", "--duration", "0.1"]).ends_with(0);
    run.complains(&["\"000000\" is empty"]);
}

#[test]
fn what_cannot_be_made_is_refused() {
    let folder = with_model();
    let refused = |arguments: &[&str], words: &[&str]| {
        generate(folder.path(), "out", arguments).ends_with(2).complains(words);
        assert!(!folder.path().join("out").exists());
    };
    refused(&["--prompt", "a", "--duration", "0"], &["sampling.duration", "0", "3600"]);
    refused(&["--prompt", "a", "--duration", "36000"], &["sampling.duration", "36000", "3600"]);
    refused(&["--prompt", "a", "--temperature", "0"], &["sampling.temperature"]);
    refused(&["--prompt", "a", "--set", "sampling.batch_size=0"], &["sampling.batch_size"]);
    refused(&["--duration", "1"], &["--prompt"]);
    fs::write(folder.path().join("bad.json"), r#"{"../up.wav": "a"}"#).unwrap();
    refused(&["--prompts", "bad.json"], &["../up.wav", "name of a file"]);
    refused(&["--prompts", "absent.json"], &["absent.json"]);

    let model = folder.path().join("model");
    fs::rename(model.join("tokenizer.json"), folder.path().join("aside.json")).unwrap();
    refused(&["--prompt", "a"], &["tokenizer"]);
    fs::rename(folder.path().join("aside.json"), model.join("tokenizer.json")).unwrap();
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    fs::write(model.join("config.json"), config.replace("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2"))
        .unwrap();
    refused(&["--prompt", "a"], &["decoder.model.decoder.layers.1"]);
    fs::write(model.join("config.json"), config.replace("\"musicgen\"", "\"musicgen_melody\"")).unwrap();
    refused(&["--prompt", "a"], &["decoder.model_type", "musicgen_melody_decoder"]);
}
