use super::super::support::contents;
use super::{PROMPTS, codes, generate, of_native, with_model, with_native_model};
use burn::tensor::Device;
use nocturne::musicgen::{Files, GenerateError, Job, Model, MusicgenSampling, Precision, Prompt, generate as make};
use nocturne_vocoder::audio::Audio;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use zip::ZipArchive;

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
    // And with guidance in one pass or two.
    let together = [&arguments[..], &["--batch-size", "2", "--two-step-cfg"]].concat();
    generate(folder.path(), "together", &together).ends_with(0);
    assert_eq!(fs::read(at("together/one.wav")).unwrap(), fs::read(at("out/one.wav")).unwrap());
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

/// From a folder of either family; what is made differs with the precision, and is made once.
#[test]
fn narrow_weights_make_music_of_their_own() {
    let folder = with_native_model();
    let at = |name: &str| folder.path().join(name);
    fs::rename(at("model/t5"), at("native/text_encoder")).unwrap();
    let arguments = ["--prompt", "soft rain", "--duration", "0.5", "--top-k", "12", "--save-codes", "--precision"];
    let made = |output: &str, precision: &str| {
        let run = generate(folder.path(), output, &[&arguments[..], &[precision]].concat()).ends_with(0).json();
        (run["files"].clone(), run["kept"].clone())
    };
    let codes_of = |output: &str| codes(at(output).join("000000.npy")).values;
    for precision in ["f32", "bf16", "int8", "int4"] {
        assert_eq!(made(precision, precision), (1.into(), 0.into()));
    }
    made("again", "int8");
    assert_eq!(contents(&at("again")), contents(&at("int8")));
    assert_ne!(codes_of("int4"), codes_of("f32"));
    of_native(folder.path(), "native-int8", &[&arguments[..], &["int8"]].concat()).ends_with(0);
    assert_eq!(codes_of("native-int8"), codes_of("int8"));
    // Another precision is another result.
    assert_eq!(made("again", "int8"), (0.into(), 1.into()));
    assert_eq!(made("again", "int4"), (1.into(), 0.into()));
    assert_eq!(codes_of("again"), codes_of("int4"));
    let manifest = fs::read_to_string(at("again/manifest.jsonl")).unwrap();
    assert!(manifest.contains(r#""precision":"int4""#), "{manifest}");
    generate(folder.path(), "none", &[&arguments[..], &["int2"]].concat()).ends_with(2).complains(&["int2", "int4"]);
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
fn all_audio_goes_into_one_file() {
    let folder = with_model();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("prompts.json"), PROMPTS).unwrap();
    let arguments = ["--prompts", "prompts.json", "--duration", "0.2", "--save-codes", "--zip", "all.zip"];
    assert_eq!(generate(folder.path(), "out", &arguments).ends_with(0).json()["zip"], "all.zip");
    let bytes = fs::read(at("all.zip")).unwrap();
    let mut archive = ZipArchive::new(File::open(at("all.zip")).unwrap()).unwrap();
    assert_eq!(archive.len(), 2);
    for (index, name) in ["one.wav", "two.mp3"].into_iter().enumerate() {
        let mut file = Vec::new();
        archive.by_index(index).unwrap().read_to_end(&mut file).unwrap();
        assert_eq!(file, fs::read(at("out").join(name)).unwrap());
    }
    // Of files that are kept as well, and at another time the same.
    fs::remove_file(at("all.zip")).unwrap();
    fs::remove_file(at("out/one.wav")).unwrap();
    assert_eq!(generate(folder.path(), "out", &arguments).ends_with(0).json()["kept"], 1);
    assert_eq!(fs::read(at("all.zip")).unwrap(), bytes);
}

/// A model that was trained on has the same configuration and other weights.
#[test]
fn music_of_another_model_is_made_again() {
    let folder = with_model();
    let arguments = ["--prompt", "soft rain", "--duration", "0.1"];
    let made = || generate(folder.path(), "out", &arguments).ends_with(0).json()["files"].clone();
    assert_eq!((made(), made()), (1.into(), 0.into()));
    let weights = folder.path().join("model/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    assert_eq!((made(), made()), (1.into(), 0.into()));
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
    fs::write(folder.path().join("same.json"), r#"{"a.wav": "a", "a.mp3": "b"}"#).unwrap();
    refused(&["--prompts", "same.json", "--save-codes"], &["a.wav", "a.mp3", "a.npy"]);

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

/// As a library: captions encoded before the other networks are opened, and whenever they are asked for.
#[test]
fn a_model_for_some_captions_makes_what_one_for_any_makes() {
    for (name, text_encoder) in [("model", None), ("native", Some("model/t5"))] {
        let folder = with_native_model();
        let at = |name: &str| folder.path().join(name);
        let encoder = text_encoder.map(|name| at(name).display().to_string());
        let prompt = |id: &str, text: &str| Prompt { id: id.to_owned(), text: text.to_owned() };
        let prompts = [prompt("rain", "soft rain"), prompt("none", ""), prompt("piano", "A soft piano melody.")];
        let settings = MusicgenSampling { duration: 0.1, batch_size: 2, ..MusicgenSampling::default() };
        let made = |model: &mut Model, last, prompts: &[Prompt], output: &Path| {
            let stop = AtomicBool::new(false);
            let settings = &settings;
            let mut job = Job { model, last, prompts, melody: None, beginning: None, settings, stop: &stop };
            let files = Files { folder: output, save_codes: true, zip: None };
            make(&mut job, files, |_, _| ()).map(|generated| generated.made)
        };
        let open = |captions: Option<&[&str]>| {
            let (path, encoder, device) = (at(name), encoder.as_deref(), Device::flex());
            match captions {
                None => Model::open(&path, encoder, Precision::F32, &device).unwrap(),
                Some(captions) => Model::open_for(&path, encoder, Precision::F32, captions, &device).unwrap(),
            }
        };
        let gone = |found: Result<usize, GenerateError>| {
            assert!(matches!(found, Err(GenerateError::NoMoreCaptions)), "{name}: {found:?}");
        };

        let (any, these, other) = (at("any"), at("these"), at("other"));
        let mut model = open(None);
        assert_eq!(made(&mut model, false, &prompts, &at("before")).unwrap(), 3);
        assert_eq!(made(&mut model, true, &prompts, &any).unwrap(), 3);
        gone(made(&mut model, true, &prompts, &other));
        let captions = prompts.each_ref().map(|prompt| prompt.text.as_str());
        let mut model = open(Some(&captions));
        gone(made(&mut model, false, &[prompt("wind", "wind")], &other));
        assert_eq!(made(&mut model, true, &prompts, &these).unwrap(), 3);
        let files = contents(&any);
        assert!(files.len() > 6, "{name}");
        assert!(files == contents(&these) && files == contents(&at("before")), "{name}");
    }
}
