use super::support::{contents, run, training, with_dataset};
use burn::tensor::Device;
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::random::Random;
use nocturne_models::vae::AutoencoderKlConfig;
use std::fs;
use std::path::{Path, PathBuf};

/// A T5 of a few thousand parameters, 16 wide or so, with its tokenizer.
fn t5() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/t5/flan")
}

/// A VAE that makes a quarter of each side, with random weights.
fn vae(folder: &Path) {
    let config = AutoencoderKlConfig {
        in_channels: 1,
        out_channels: 1,
        latent_channels: 2,
        norm_num_groups: 4,
        ..AutoencoderKlConfig::default()
    }
    .with_channels(vec![4, 8, 8]);
    let network = config.init(&Device::flex(), &mut Random::new(1, "vae", 0)).unwrap();
    network::save(&config, &network, &folder.join("vae")).unwrap();
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
    with("none", &[]).ends_with(2).complains(&["conditioned"]);
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
