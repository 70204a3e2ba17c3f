use super::super::interpreter::python;
use super::super::support::{Run, contents, run};
use burn::tensor::Device;
use nocturne::npy;
use nocturne_models::musicgen::MusicgenConfig;
use nocturne_models::{network, parameters};
use nocturne_vocoder::audio::Audio;
use serde_json::Value;
use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures")
}

/// A folder with `model/`, a melody model of a few thousand random numbers at 8 kHz and 200 frames a second, and two tunes.
fn with_model(kind: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for (from, file) in [
        (format!("musicgen_melody/{kind}"), "config.json"),
        (format!("musicgen_melody/{kind}"), "model.safetensors"),
        ("t5/flan".to_owned(), "tokenizer.json"),
        ("t5/flan".to_owned(), "tokenizer_config.json"),
    ] {
        fs::copy(fixtures().join(from).join(file), model.join(file)).unwrap();
    }
    write_tune(&folder.path().join("up.wav"), &[0, 4, 7, 11]);
    write_tune(&folder.path().join("down.wav"), &[10, 5, 2, 1]);
    folder
}

/// A second of each note, in stereo at a rate that is not the model's.
fn write_tune(path: &Path, notes: &[i32]) {
    const RATE: u32 = 22_050;
    let note = |class: &i32| {
        let hz = 440.0 * (f64::from(class - 9) / 12.0).exp2();
        (0..RATE).map(move |n| (0.5 * (TAU * hz * f64::from(n) / f64::from(RATE)).sin()) as f32)
    };
    let channel: Vec<f32> = notes.iter().flat_map(note).collect();
    Audio { sample_rate: RATE, channels: vec![channel.clone(), channel] }.write(path).unwrap();
}

fn generate(folder: &Path, model: &str, output: &str, arguments: &[&str]) -> Run {
    let command = ["musicgen", "generate", "--model", model, "--device", "cpu", "--json", "--output-dir", output];
    run(folder, &[&command[..], arguments].concat())
}

fn codes(folder: &Path, output: &str, name: &str) -> npy::Array<i64> {
    npy::read(&folder.join(output).join(name).with_extension("npy")).unwrap()
}

const SHORT: [&str; 6] = ["--duration", "0.5", "--top-k", "12", "--save-codes", "--seed"];

#[test]
fn music_follows_a_melody() {
    for (kind, books) in [("mono", 4), ("stereo", 8)] {
        let folder = with_model(kind);
        let made = |output: &str, more: &[&str]| {
            let arguments = [&SHORT[..], &["5", "--prompt", "soft rain"], more].concat();
            generate(folder.path(), "model", output, &arguments).ends_with(0);
            codes(folder.path(), output, "000000")
        };
        let up = made("up", &["--melody", "up.wav"]);
        assert_eq!(up.shape, [books, 100]);
        assert_eq!(made("again", &["--melody", "up.wav"]).values, up.values);
        assert_ne!(made("down", &["--melody", "down.wav"]).values, up.values);
        assert_ne!(made("none", &[]).values, up.values);
        let audio = Audio::decode(&folder.path().join("up/000000.wav")).unwrap();
        assert_eq!((audio.sample_rate, audio.channels.len(), audio.frames()), (8_000, books / 4, 4_000));
    }
}

#[test]
fn a_melody_is_one_of_the_things_that_a_file_is_made_of() {
    let folder = with_model("mono");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("prompts.json"), r#"{"two": "Slow ambient music, made for sleep", "one": "A soft piano."}"#).unwrap();
    let made = |output: &str, more: &[&str]| {
        let arguments = [&SHORT[..], &["5", "--prompts", "prompts.json"], more].concat();
        let result = generate(folder.path(), "model", output, &arguments).ends_with(0).json();
        (result["files"].as_u64().unwrap(), result["kept"].as_u64().unwrap())
    };
    assert_eq!(made("out", &["--melody", "up.wav"]), (2, 0));
    let before = contents(&at("out"));
    let manifest = fs::read_to_string(at("out/manifest.jsonl")).unwrap();
    let lines: Vec<Value> = manifest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["melody_sha256"].as_str().unwrap().len() == 64));

    // Known by its sound: under another name it is the same, and what is in it counts.
    fs::rename(at("up.wav"), at("renamed.wav")).unwrap();
    assert_eq!(made("out", &["--melody", "renamed.wav"]), (0, 2));
    assert_eq!(contents(&at("out")), before);
    fs::copy(at("down.wav"), at("renamed.wav")).unwrap();
    assert_eq!(made("out", &["--melody", "renamed.wav"]), (2, 0));
    assert_eq!(made("out", &[]), (2, 0));

    // In company each is the same as alone.
    assert_eq!(made("alone", &["--melody", "down.wav"]), (2, 0));
    assert_eq!(made("together", &["--melody", "down.wav", "--batch-size", "2"]), (2, 0));
    let of = |output: &str| ["one", "two"].map(|name| codes(folder.path(), output, name).values);
    assert_eq!(of("together"), of("alone"));
    // As both published libraries have it, what fills the shorter caption counts.
    let attended = ["--melody", "down.wav", "--batch-size", "2", "--set", "sampling.padding=attended"];
    assert_eq!(made("attended", &attended), (2, 0));
    let ([one, two], [one_alone, two_alone]) = (of("attended"), of("alone"));
    assert!((one != one_alone) && (two == two_alone));
}

/// Windows of thirty seconds, each with its own part of the tune.
#[test]
fn music_is_longer_than_a_window() {
    let folder = with_model("mono");
    // Thirty seconds, so that no window of them has to repeat it.
    let notes: Vec<i32> = (0..30).map(|second| second * 7 % 12).collect();
    write_tune(&folder.path().join("long.wav"), &notes);
    let arguments = ["--prompt", "bass", "--melody", "long.wav", "--guidance-scale", "1", "--greedy", "--save-codes"];
    let [long, short] = [("long", "30.25"), ("short", "30")].map(|(output, seconds)| {
        generate(folder.path(), "model", output, &[&arguments[..], &["--duration", seconds]].concat()).ends_with(0);
        codes(folder.path(), output, "000000")
    });
    assert_eq!((long.shape[1], short.shape[1]), (6_050, 6_000));
    for (long, short) in long.values.chunks(6_050).zip(short.values.chunks(6_000)) {
        assert_eq!(long[..6_000], *short);
    }
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let folder = with_model("mono");
    let text = folder.path().join("text");
    fs::create_dir(&text).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixtures().join("musicgen/whole").join(file), text.join(file)).unwrap();
    }
    fs::copy(folder.path().join("model/tokenizer.json"), text.join("tokenizer.json")).unwrap();
    let refused = |model: &str, melody: &str, words: &[&str]| {
        let run = generate(folder.path(), model, "out", &["--prompt", "a", "--melody", melody]);
        run.ends_with(2).complains(words);
        assert!(!folder.path().join("out").exists());
    };
    refused("text", "up.wav", &["`musicgen`", "no melody", "`musicgen_melody`"]);
    refused("model", "absent.wav", &["absent.wav"]);
    refused("model", "model/config.json", &["config.json"]);
}

/// The parameters of a folder of transformers.
fn parameters_of(folder: &Path) -> (MusicgenConfig, Vec<(String, Vec<f32>)>) {
    let (config, network) = network::open::<MusicgenConfig>(folder, &Device::flex()).unwrap();
    let mut all = Vec::new();
    parameters::visit(&network, |name, _, values| {
        all.push((name.to_owned(), values.into_data().iter::<f32>().collect()));
    });
    (config, all)
}

#[test]
fn a_melody_model_goes_to_the_other_family_and_back() {
    let folder = with_model("mono");
    let at = |name: &str| folder.path().join(name);
    let export = |model: &str, output: &str, format: &str| {
        let command = ["musicgen", "export", "--model", model, "--device", "cpu", "--output-dir", output];
        run(folder.path(), &[&command[..], &["--format", format]].concat())
    };
    export("model", "native", "audiocraft").ends_with(0);
    export("native", "back", "transformers").ends_with(0);
    let ((config, before), (again, after)) = (parameters_of(&at("model")), parameters_of(&at("back")));
    assert_eq!((config.melody(), &config.decoder), (again.melody(), &again.decoder));
    assert_eq!(before.len(), after.len());
    for ((name, before), (again, after)) in before.iter().zip(&after) {
        assert_eq!(name, again);
        // Weight norm was folded and taken apart again, which rounds.
        assert!(name.starts_with("audio_encoder") || before == after, "{name}");
    }
    let written: Value = serde_json::from_slice(&fs::read(at("back/config.json")).unwrap()).unwrap();
    assert_eq!(written["architectures"][0], "MusicgenMelodyForConditionalGeneration");
    let made = ["model", "native", "back"].map(|model| {
        let output = format!("from-{model}");
        let arguments = [&SHORT[..], &["3", "--prompt", "soft rain", "--melody", "up.wav"]].concat();
        generate(folder.path(), model, &output, &arguments).ends_with(0);
        codes(folder.path(), &output, "000000").values
    });
    assert_eq!((&made[0], &made[0]), (&made[1], &made[2]));

    // What Python makes of both: nothing is missing, nothing is left over.
    if let Some(python) = python("safetensors, torch, transformers") {
        fs::rename(at("native"), at("packages")).unwrap();
        fs::rename(at("back"), at("exported")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reference/musicgen_export.py");
        let output = Command::new(python).arg(script).arg(folder.path()).env("HF_HUB_OFFLINE", "1").output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    }

    // Over there a melody is as long as the music that a model was trained on.
    let config = fs::read_to_string(at("model/config.json")).unwrap();
    fs::write(at("model/config.json"), config.replace("\"chroma_length\": 59", "\"chroma_length\": 60")).unwrap();
    export("model", "new", "audiocraft").ends_with(2).complains(&["60", "59", "30 s"]);
    assert!(!at("new").exists());
}
