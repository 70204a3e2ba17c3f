use super::support::{contents, prepare, run, tone, training, with_dataset};
use burn::tensor::Device;
use nocturne::encodings::{Encoding, Encodings};
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::random::Random;
use nocturne_models::vae::AutoencoderKlConfig;
use std::fs;
use std::path::{Path, PathBuf};

/// A T5 of a few thousand parameters, 16 wide or so, with its tokenizer.
fn t5() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/t5/flan")
}

/// A VAE that makes a quarter of each side, with random weights, in the folder `vae`.
fn vae(folder: &Path) {
    vae_of(folder, "vae", 1);
}

fn vae_of(folder: &Path, name: &str, seed: u64) {
    let config = AutoencoderKlConfig {
        in_channels: 1,
        out_channels: 1,
        latent_channels: 2,
        norm_num_groups: 4,
        ..AutoencoderKlConfig::default()
    }
    .with_channels(vec![4, 8, 8]);
    let network = config.init(&Device::flex(), &mut Random::new(seed, "vae", 0)).unwrap();
    network::save(&config, &network, &folder.join(name)).unwrap();
}

#[test]
fn captions_condition_training_and_generation() {
    let folder = with_dataset(3);
    let captions = "audio_file,caption\n0.wav,slow\n1.wav,\"a bell, far away\"\n2.wav,slow waves\n";
    fs::write(folder.path().join("captions.csv"), captions).unwrap();
    let t5 = t5();
    let t5 = t5.to_str().unwrap();
    let encode = ["encode", "text", "--model", t5, "--captions", "captions.csv", "--output", "e.safetensors", "--json"];
    let report = run(folder.path(), &encode).ends_with(0).json();
    assert_eq!(report["captions"], 3, "{report}");
    let first = fs::read(folder.path().join("e.safetensors")).unwrap();
    run(folder.path(), &encode).ends_with(0);
    assert!(fs::read(folder.path().join("e.safetensors")).unwrap() == first, "encodings differ from run to run");

    let flags = ["--encodings", "e.safetensors", "--output-dir", "model", "--max-training-num-steps", "2", "-q"];
    run(folder.path(), &training(&flags)).ends_with(0);
    let config = fs::read_to_string(folder.path().join("model/unet/config.json")).unwrap();
    assert!(config.contains("UNet2DConditionModel"), "{config}");

    let generate = ["generate", "--model", "model", "--num-inference-steps", "2", "--num-images", "1", "--n-iter", "1"];
    let with =
        |output: &str, flags: &[&str]| run(folder.path(), &[&generate[..], &["--output-dir", output], flags].concat());
    let guided = ["--prompt", "slow", "--text-encoder", t5, "--guidance-scale"];
    with("weak", &[&guided[..], &["1", "-q"]].concat()).ends_with(0);
    with("strong", &[&guided[..], &["8", "-q"]].concat()).ends_with(0);
    let mel = |output: &str| fs::read(folder.path().join(output).join("mels/000000.npy")).unwrap();
    assert!(mel("weak") != mel("strong"), "guidance changes nothing");
    with("listed", &["--encodings", "e.safetensors", "-q"]).ends_with(0);
    let manifest = fs::read_to_string(folder.path().join("listed/manifest.jsonl")).unwrap();
    assert!(manifest.contains(r#""condition":"0.wav""#), "{manifest}");
    with("none", &[]).ends_with(2).complains(&["the model is conditional", "no prompt", "hint: `--prompt`"]);
    with("negative", &[&guided[..], &["1", "--negative-prompt", "fast"]].concat())
        .ends_with(2)
        .complains(&["guidance"]);
}

#[test]
fn a_recording_without_a_caption_is_named_before_any_step() {
    let folder = with_dataset(2);
    fs::write(folder.path().join("captions.json"), r#"{"0.wav": "slow"}"#).unwrap();
    let t5 = t5();
    let t5 = t5.to_str().unwrap();
    run(
        folder.path(),
        &["encode", "text", "--model", t5, "--captions", "captions.json", "--output", "e.safetensors", "-q"],
    )
    .ends_with(0);
    let flags = ["--encodings", "e.safetensors", "--output-dir", "model", "--max-training-num-steps", "2", "-q"];
    run(folder.path(), &training(&flags)).ends_with(2).complains(&["1 of 2 recordings", "1.wav"]);
    assert!(!folder.path().join("model/state").exists());
}

#[test]
fn latents_are_made_once_and_trained_on() {
    let folder = with_dataset(3);
    vae(folder.path());
    let encode = ["encode", "latents", "--vae", "vae", "--dataset", "mels", "--json"];
    let report = run(folder.path(), &encode).ends_with(0).json();
    assert_eq!(report["shape"], serde_json::json!([2, 4, 4]), "{report}");
    let made = contents(&folder.path().join("mels/latents"));

    let flags = ["--vae", "vae", "--output-dir", "model", "--max-training-num-steps", "2", "-q"];
    run(folder.path(), &training(&flags)).ends_with(0);
    assert!(contents(&folder.path().join("mels/latents")) == made, "the latents were made again");
    let config = fs::read_to_string(folder.path().join("model/vqvae/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["scaling_factor"], report["scaling_factor"], "the scale is not the measured one");

    let generate = ["generate", "--model", "model", "--output-dir", "clips", "--num-images", "1"];
    let steps = ["--num-inference-steps", "2", "--n-iter", "1", "--scheduler", "dpm++", "-q"];
    run(folder.path(), &[&generate[..], &steps].concat()).ends_with(0);
    let mel = nocturne::npy::read::<f32>(&folder.path().join("clips/mels/000000.npy")).unwrap();
    assert_eq!(mel.shape, [1, 16, 16]);
}

#[test]
fn a_resumed_run_keeps_its_latents() {
    let folder = with_dataset(3);
    vae_of(folder.path(), "vae", 1);
    vae_of(folder.path(), "other", 2);
    fs::create_dir(folder.path().join("moved")).unwrap();
    for file in ["config.json", "diffusion_pytorch_model.safetensors"] {
        fs::copy(folder.path().join("vae").join(file), folder.path().join("moved").join(file)).unwrap();
    }
    let flags = |vae, steps| ["--vae", vae, "--output-dir", "model", "--max-training-num-steps", steps];
    run(folder.path(), &training(&flags("vae", "1"))).ends_with(0);
    let resume = |vae| run(folder.path(), &training(&[&flags(vae, "2")[..], &["--resume"]].concat()));
    resume("other").ends_with(2).complains(&["`data.latents` was", "what it learns"]);
    // The same VAE elsewhere is the same.
    resume("moved").ends_with(0).complains(&["warning: resuming with `data.vae` \"moved\"; it was \"vae\""]);
}

#[test]
fn a_resumed_run_keeps_the_width_of_its_encodings() {
    let folder = with_dataset(2);
    let encodings = |name: &str, dim: usize| {
        let encoding = Encoding { tokens: 1, dim, values: vec![0.5; dim].into() };
        let all = ["0", "1"].map(|id| (id.to_owned(), encoding.clone()));
        nocturne::encodings::write(&folder.path().join(name), &all.into()).unwrap();
    };
    encodings("narrow.safetensors", 4);
    encodings("wide.safetensors", 8);
    let flags = |file, steps| ["--encodings", file, "--output-dir", "model", "--max-training-num-steps", steps, "-q"];
    run(folder.path(), &training(&flags("narrow.safetensors", "1"))).ends_with(0);
    let wider = [&flags("wide.safetensors", "2")[..], &["--resume"]].concat();
    run(folder.path(), &training(&wider)).ends_with(2).complains(&["`data.encoding_width` was 4 and is now 8"]);
}

#[test]
fn a_transformer_trains_and_generates() {
    let folder = with_dataset(2);
    let small = ["--set", "model.num_layers=1", "--set", "model.num_attention_heads=2"];
    let fixed = ["train", "dit", "--dataset", "mels", "--train-batch-size", "2", "--num-inference-steps", "2"];
    let end = ["--set", "sampling.num_images=1", "--output-dir", "model", "--max-training-num-steps", "2", "-q"];
    run(folder.path(), &[&fixed[..], &small, &end].concat()).ends_with(0);
    assert!(folder.path().join("model/transformer/config.json").is_file());
    let generate = ["generate", "--model", "model", "--output-dir", "clips", "--num-images", "1", "--n-iter", "1"];
    run(folder.path(), &[&generate[..], &["--num-inference-steps", "2", "-q"]].concat()).ends_with(0);
}

/// The encodings of a file and of a column are the same to training and generation, in datasets of either format.
#[test]
fn a_column_of_the_dataset_is_as_good_as_a_file() {
    let folder = with_dataset(3);
    let rows = ["--input-dir", "music", "--output-dir", "rows", "--format", "parquet", "-q"];
    prepare(folder.path(), &rows).ends_with(0);
    let captions = r#"{"0": "slow", "music/1.wav": "a bell, far away", "2.wav": "slow waves"}"#;
    fs::write(folder.path().join("captions.json"), captions).unwrap();
    let t5 = t5();
    let encode = |output: &str| {
        let flags = ["--captions", "captions.json", "--output", output, "--json"];
        run(folder.path(), &[&["encode", "text", "--model", t5.to_str().unwrap()][..], &flags].concat())
    };
    for output in ["e.safetensors", "mels", "rows", "mels"] {
        let report = encode(output).ends_with(0).json();
        assert!(report["captions"] == 3 && report["seconds"].as_f64().unwrap() > 0.0, "{report}");
    }
    let file = Encodings::open(&folder.path().join("e.safetensors")).unwrap();
    for dataset in ["mels", "rows"] {
        let column = Encodings::open(&folder.path().join(dataset)).unwrap();
        assert_eq!(column.ids().collect::<Vec<_>>(), ["music/0.wav", "music/1.wav", "music/2.wav"]);
        assert!(column.ids().all(|id| column.get(id) == file.get(id)), "{dataset}");
        let hidden = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with('.');
        assert!(!contents(&folder.path().join(dataset)).keys().any(hidden), "something was left in {dataset}");
    }
    let weights = |encodings: &str| {
        let model = format!("model-{encodings}");
        let flags = ["--encodings", encodings, "--output-dir", &model, "--max-training-num-steps", "2", "-q"];
        run(folder.path(), &training(&flags)).ends_with(0);
        fs::read(folder.path().join(model).join("unet/diffusion_pytorch_model.safetensors")).unwrap()
    };
    let expected = weights("e.safetensors");
    assert!(weights("mels") == expected && weights("rows") == expected);
    let generate = ["generate", "--model", "model-mels", "--encodings", "rows", "--output-dir", "clips"];
    let quick = ["--num-inference-steps", "1", "--num-images", "1", "--n-iter", "1", "-q"];
    run(folder.path(), &[&generate[..], &quick].concat()).ends_with(0);
}

#[test]
fn a_dataset_that_cannot_take_a_column_stays_as_it_was() {
    let folder = with_dataset(2);
    let t5 = t5();
    let encode = |captions: &str, output: &str| {
        fs::write(folder.path().join("captions.json"), captions).unwrap();
        let flags = ["--captions", "captions.json", "--output", output];
        run(folder.path(), &[&["encode", "text", "--model", t5.to_str().unwrap()][..], &flags].concat())
    };
    let before = contents(&folder.path().join("mels"));
    encode(r#"{"0.wav": "slow"}"#, "mels").ends_with(2).complains(&["1 of 2 recordings", "1.wav", "hint: "]);
    assert!(contents(&folder.path().join("mels")) == before);
    run(folder.path(), &training(&["--output-dir", "model", "--encodings", "mels"]))
        .ends_with(2)
        .complains(&["mels: no column `encoding`"]);
    encode(r#"{"0.wav": "slow"}"#, "music").ends_with(1).complains(&["music", "dataset_dict.json"]);
    prepare(folder.path(), &["--input-dir", "music", "--output-dir", "half", "--shard", "1/2", "-q"]).ends_with(0);
    encode(r#"{"0.wav": "slow"}"#, "half").ends_with(2).complains(&["half is a shard", "--merge"]);
    fs::create_dir(folder.path().join("pictures")).unwrap();
    let generate = nocturne::dataset::Dataset::open(&folder.path().join("mels")).unwrap().get(0).unwrap();
    let (width, height) = (generate.width, generate.height);
    let png = nocturne::dataset::Picture { width, height, pixels: vec![7; width * height] }.to_png();
    fs::write(folder.path().join("pictures/0.png"), png).unwrap();
    encode(r#"{"pictures/0.png": "slow"}"#, "pictures").ends_with(1).complains(&["a folder of pictures"]);
}

/// An empty caption is `</s>` alone.
#[test]
fn an_empty_caption_is_one_token() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.csv"), "id,caption\na,\nb,slow\n").unwrap();
    let t5 = t5();
    let flags = ["encode", "text", "--model", t5.to_str().unwrap(), "--captions", "c.csv", "--output", "e.safetensors"];
    run(folder.path(), &flags).ends_with(0);
    let encodings = Encodings::open(&folder.path().join("e.safetensors")).unwrap();
    assert_eq!(encodings.get("a").unwrap().tokens, 1);
    assert!(encodings.get("b").unwrap().tokens > 1);
    run(folder.path(), &[&flags[..], &["--batch-size", "0"]].concat()).ends_with(2).complains(&["--batch-size"]);
}

/// A fixture of `scripts/reference/audio_encoder.py`: an encoder, a recording, and its encoding as librosa and PyTorch make it.
fn audio_encoder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/audio_encoder")
}

#[test]
fn recordings_are_encoded_as_published() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = audio_encoder();
    fs::create_dir(folder.path().join("music")).unwrap();
    fs::copy(fixture.join("recording.wav"), folder.path().join("music/recording.wav")).unwrap();
    let model = fixture.to_str().unwrap();
    let flags = ["encode", "audio", "--model", model, "--input-dir", "music", "--output", "e.safetensors", "--json"];
    let report = run(folder.path(), &flags).ends_with(0).json();
    assert!(report["recordings"] == 1 && report["dim"] == 10 && report["skipped"] == 0, "{report}");
    assert!(report["seconds"].as_f64().unwrap() > 0.0 && report["audio_seconds"].as_f64().unwrap() > 2.0, "{report}");
    assert!(!folder.path().join("skipped.jsonl").exists());
    let found = Encodings::open(&folder.path().join("e.safetensors")).unwrap();
    let expected = Encodings::open(&fixture.join("encoding.safetensors")).unwrap();
    assert_eq!(found.ids().collect::<Vec<_>>(), ["music/recording.wav"]);
    let (found, expected) = (found.get("music/recording.wav").unwrap(), expected.get("recording").unwrap());
    assert_eq!((found.tokens, found.dim), (expected.tokens, expected.dim));
    let pairs = found.values.iter().zip(expected.values.iter());
    let error = pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    let spread = expected.values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    // Pictures are the same to the byte, but where a decibel falls between two.
    assert!(error < 1e-3 * spread, "off by {error} of {spread}");
}

#[test]
fn a_dataset_is_conditioned_on_its_own_recordings() {
    let folder = with_dataset(3);
    let model = audio_encoder();
    let encode = ["encode", "audio", "--model", model.to_str().unwrap(), "--dataset", "mels", "--output"];
    run(folder.path(), &[&encode[..], &["e.safetensors", "-q"]].concat()).ends_with(0);
    run(folder.path(), &[&encode[..], &["mels", "-q"]].concat()).ends_with(0);
    let [file, column] = ["e.safetensors", "mels"].map(|name| Encodings::open(&folder.path().join(name)).unwrap());
    assert!(file.ids().eq(column.ids()) && file.ids().all(|id| file.get(id) == column.get(id)));
    let flags = ["--encodings", "mels", "--output-dir", "model", "--max-training-num-steps", "1", "-q"];
    run(folder.path(), &training(&flags)).ends_with(0);

    fs::remove_file(folder.path().join("music/1.wav")).unwrap();
    run(folder.path(), &[&encode[..], &["mels"]].concat()).ends_with(2).complains(&["1 of 3", "music/1.wav"]);
    let before = fs::read_to_string(folder.path().join("mels/prepare.json")).unwrap();
    run(folder.path(), &[&encode[..], &["mels/e.safetensors"]].concat()).ends_with(3);
    assert_eq!(fs::read_to_string(folder.path().join("mels/prepare.json")).unwrap(), before);
    fs::remove_dir_all(folder.path().join("music")).unwrap();
    run(folder.path(), &[&encode[..], &["f.safetensors"]].concat()).ends_with(1).complains(&["none of 3 recordings"]);
}

#[test]
fn recordings_that_cannot_be_used_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    tone(folder.path(), "music/good.wav", 0, 1.5);
    fs::write(folder.path().join("music/text.mp3"), "no music").unwrap();
    fs::write(folder.path().join("music/cut.wav"), b"RIFF\0\0\0\0WAVE").unwrap();
    let model = audio_encoder();
    let encode = |input: &str, output: &str| {
        let flags = ["--input-dir", input, "--output", output];
        run(folder.path(), &[&["encode", "audio", "--model", model.to_str().unwrap()][..], &flags].concat())
    };
    encode("music", "out.safetensors").ends_with(3).complains(&["skipped music/text.mp3", "skipped music/cut.wav"]);
    let list = || fs::read_to_string(folder.path().join("skipped.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = list().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = lines.iter().map(|line| line["audio_file"].as_str().unwrap()).collect();
    assert_eq!(names, ["music/cut.wav", "music/text.mp3"]);
    assert!(lines.iter().all(|line| !line["reason"].as_str().unwrap().is_empty()));
    // In a dataset the list is also `prepare`'s.
    prepare(folder.path(), &["--input-dir", "music", "--output-dir", "mels", "-q"]).ends_with(3);
    let prepared = fs::read_to_string(folder.path().join("mels/skipped.jsonl")).unwrap();
    encode("music", "mels/e.safetensors").ends_with(3);
    assert_eq!(fs::read_to_string(folder.path().join("mels/skipped.jsonl")).unwrap(), prepared);

    fs::create_dir(folder.path().join("none")).unwrap();
    encode("none", "out.safetensors").ends_with(2).complains(&["none: no audio files"]);
    encode("nowhere", "out.safetensors").ends_with(2).complains(&["nowhere"]);
    let t5 = t5();
    let flags = ["--input-dir", "music", "--output", "out.safetensors"];
    run(folder.path(), &[&["encode", "audio", "--model", t5.to_str().unwrap()][..], &flags].concat())
        .ends_with(2)
        .complains(&["the weights do not fit the network"]);
    run(folder.path(), &["encode", "audio", "--model", "m", "--output", "o"]).ends_with(2).complains(&["--input-dir"]);
}
