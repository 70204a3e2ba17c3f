use super::interpreter::python;
use super::support::{contents, run, training, with_dataset};
use burn::tensor::{Device, Tensor, TensorData};
use nocturne::npy;
use nocturne::pipeline::open_vae;
use std::fs;
use std::path::Path;
use std::process::Command;

/// An autoencoder of a few thousand parameters that makes a quarter of each side, and a discriminator that joins at once.
const SMALL: [&str; 12] = [
    "--set",
    "model.block_out_channels=[4,8,8]",
    "--set",
    "model.norm_num_groups=2",
    "--set",
    "model.layers_per_block=1",
    "--set",
    "loss.disc_ndf=4",
    "--set",
    "loss.disc_num_layers=1",
    "--set",
    "loss.disc_start=1",
];

/// The arguments of a short training of a small autoencoder.
fn training_vae<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["train", "vae", "--dataset", "mels", "--output-dir", "vae"][..], &SMALL, arguments].concat()
}

#[test]
fn from_mels_to_an_autoencoder_to_latents_to_new_mels() {
    let folder = with_dataset(4);
    let flags = ["--max-training-num-steps", "4", "--batch-size", "2", "--learning-rate", "1e-3", "--json"];
    let report = run(folder.path(), &training_vae(&flags)).ends_with(0).json();
    assert_eq!((report["steps"].as_u64(), report["interrupted"].as_bool()), (Some(4), Some(false)), "{report}");
    let vae = folder.path().join("vae");
    for file in [
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "mel/mel_config.json",
        "nocturne.yaml",
        "logs/train.jsonl",
        "state/step-4/discriminator_weights.safetensors",
        "samples/step-4/original/000000.png",
        "samples/step-4/reconstruction/000000.wav",
    ] {
        assert!(vae.join(file).is_file(), "{file}");
    }
    let read = |file: &str| fs::read_to_string(vae.join(file)).unwrap();
    let json = |file: &str| serde_json::from_str::<serde_json::Value>(&read(file)).unwrap();

    // The scale is measured, and so is what the autoencoder takes, beside what Griffin-Lim takes anyway.
    let config = json("config.json");
    assert_eq!(config["scaling_factor"], report["scaling_factor"]);
    assert_ne!(config["scaling_factor"], 0.18215);
    let measured = json("reconstruction.json");
    assert_eq!(measured, report["reconstruction"]);
    assert_eq!(measured["held_out"], true, "{measured}");
    for way in ["autoencoder", "griffin_lim", "autoencoder_and_griffin_lim"] {
        for measure in ["psnr", "log_spectral_distance"] {
            assert!(measured[way][measure].as_f64().unwrap() > 0.0, "{measured}");
        }
    }
    let logged = read("logs/train.jsonl");
    for part in ["pixel_loss", "perceptual_loss", "kl", "generator_loss", "discriminator_loss"] {
        assert!(logged.contains(part), "no {part} in {logged}");
    }

    let encode = ["encode", "latents", "--dataset", "mels", "--vae", "vae", "--json"];
    let encoded = run(folder.path(), &encode).ends_with(0).json();
    // Measured on all mels here, on those that were trained on there, and of the same weights.
    let [there, here] = [&config, &encoded].map(|object| object["scaling_factor"].as_f64().unwrap());
    assert!((there / here - 1.0).abs() < 0.2, "{there} and {here}");
    let latent = ["--vae", "vae", "--output-dir", "model", "--max-training-num-steps", "2", "-q"];
    run(folder.path(), &training(&latent)).ends_with(0);
    let generate = ["generate", "--model", "model", "--num-inference-steps", "2", "--num-images", "1", "--n-iter", "1"];
    run(folder.path(), &[&generate[..], &["--output-dir", "new", "-q"]].concat()).ends_with(0);
    assert_eq!(npy::read::<f32>(&folder.path().join("new/mels/000000.npy")).unwrap().shape, [1, 16, 16]);
}

#[test]
fn a_resumed_run_equals_a_longer_one() {
    let folder = with_dataset(3);
    let steps = |steps, more: &[&'static str]| {
        let flags = ["--max-training-num-steps", steps, "--learning_rate", "1e-3", "-q"];
        run(folder.path(), &[&training_vae(&flags)[..], more].concat())
    };
    steps("4", &[]).ends_with(0);
    fs::rename(folder.path().join("vae"), folder.path().join("whole")).unwrap();
    steps("2", &[]).ends_with(0);
    steps("4", &[]).ends_with(2).complains(&["holds the state of a training run", "hint: `--resume`"]);
    steps("4", &["--resume", "--set", "loss.disc_ndf=8"]).ends_with(2).complains(&["loss.disc_ndf"]);
    steps("4", &["--resume"]).ends_with(0);
    for file in ["config.json", "diffusion_pytorch_model.safetensors", "reconstruction.json"] {
        let read = |run: &str| fs::read(folder.path().join(run).join(file)).unwrap();
        assert!(read("whole") == read("vae"), "{file} differs");
    }
}

/// The published file and the published flags, as scripts of the field write them; then the weights as a start.
#[test]
fn published_files_and_flags_work() {
    let folder = with_dataset(2);
    let yaml = "model:\n  base_learning_rate: 4.5e-6\n  params:\n    embed_dim: 2\n    lossconfig:\n      params:\n        \
        disc_start: 50001\n        kl_weight: 0.000001\n        disc_weight: 0.5\n        disc_num_layers: 1\n    \
        ddconfig:\n      z_channels: 2\n      in_channels: 1\n      out_ch: 1\n      ch: 32\n      ch_mult: [1, 1]\n      \
        num_res_blocks: 1\n      attn_resolutions: []\n";
    fs::write(folder.path().join("ldm.yaml"), yaml).unwrap();
    let published = ["train", "vae", "-d", "mels", "-b", "2", "-g", "2", "-c", "ldm.yaml", "--max_epochs", "1"];
    let more = ["--hf_checkpoint_dir", "first", "--save_images_batches", "2", "--ldm_checkpoint_dir", "ldm", "--json"];
    let run_with = |flags: &[&str]| run(folder.path(), &[&published[..], flags].concat());
    let first = run_with(&more).ends_with(0).json();
    // One recording of five slices is left to train on: two steps of four.
    assert_eq!(first["steps"], 2, "{first}");
    let config = fs::read_to_string(folder.path().join("first/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!((&config["latent_channels"], &config["block_out_channels"]), (&2.into(), &serde_json::json!([32, 32])));
    // Every two forward passes is every step.
    assert!(folder.path().join("first/samples/step-1/reconstruction/000000.png").is_file());

    run_with(&["--output-dir", "second", "-r", "first", "--max_training_num_steps", "1", "-q"]).ends_with(0);
}

/// Twice as many frames as bands, and levels that follow from the size of the latents.
#[test]
fn mels_wider_than_high_stay_so() {
    let folder = with_dataset(2);
    let wide = ["prepare", "--input-dir", "music", "--output-dir", "wide", "--resolution", "32,16", "-q"];
    run(folder.path(), &[&wide[..], &["--hop-length", "256", "--n-fft", "512"]].concat()).ends_with(0);
    let train = ["train", "vae", "-d", "wide", "--output-dir", "vae", "--max-training-num-steps", "1", "-q"];
    let levels = ["--latent_dims", "16,8", "--resolution", "32,16", "--model_size", "large"];
    let rest = ["--set", "model.layers_per_block=1", "--set", "loss.disc_factor=0"];
    run(folder.path(), &[&train[..], &levels, &rest].concat()).ends_with(0);
    let vae = folder.path().join("vae");
    let config: serde_json::Value = serde_json::from_slice(&fs::read(vae.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["sample_size"], serde_json::json!([16, 32]));
    assert_eq!(config["block_out_channels"], serde_json::json!([32, 64]));
    let png = fs::read(vae.join("samples/step-1/reconstruction/000000.png")).unwrap();
    // Width and height in the header.
    assert_eq!((&png[16..20], &png[20..24]), (&[0, 0, 0, 32][..], &[0, 0, 0, 16][..]));
}

#[test]
fn lpips_is_read_from_its_published_files() {
    let folder = with_dataset(2);
    let fixture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/perceptual").join(name);
        path.into_os_string().into_string().unwrap()
    };
    let (vgg, linear) = (fixture("vgg16.pth"), fixture("lpips.pth"));
    let perceptual = |flags: &[&str]| {
        let one = ["--max-training-num-steps", "1", "-q"];
        run(folder.path(), &[&training_vae(&one)[..], flags].concat()).ends_with(0);
        let log = fs::read_to_string(folder.path().join("vae/logs/train.jsonl")).unwrap();
        fs::remove_dir_all(folder.path().join("vae")).unwrap();
        let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        first["perceptual_loss"].as_f64().unwrap()
    };
    let (ours, published) = (perceptual(&[]), perceptual(&["--vgg-weights", &vgg, "--lpips-weights", &linear]));
    assert!(published > 0.0 && (published - ours).abs() > 1e-3 * ours, "{ours} and {published}");
}

#[test]
fn what_cannot_be_trained_is_refused_before_any_step() {
    let folder = with_dataset(2);
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("nothing.yaml", "model:\n  params: {}\n");
    write("list.yaml", "- a\n- b\n");
    write("weights.ckpt", "no weights");
    let cases: [(&[&str], i32, &[&str]); 14] = [
        (&["--set", "loss.disc_num_layers=3"], 2, &["1, 16, 16", "at least 24", "loss.disc_factor=0"]),
        (&["--set", "model.block_out_channels=[4,4,4,4,4,4]"], 2, &["multiples of 32", "hint: `prepare --resolution`"]),
        (&["--resolution", "64,16"], 2, &["[64, 16]", "[16, 16]"]),
        (&["--latent-dims", "5,5"], 2, &["latent_dims", "power of two"]),
        (&["--max-samples", "0"], 2, &["max_samples", "1 or more"]),
        (&["--ldm-config-file", "nothing.yaml"], 2, &["nothing.yaml", "embed_dim"]),
        (&["--ldm-config-file", "list.yaml"], 2, &["list.yaml"]),
        (&["--ldm-config-file", "nowhere.yaml"], 2, &["nowhere.yaml"]),
        (&["--lpips-weights", "lin.pth"], 2, &["loss.vgg_weights", "LPIPS needs both"]),
        (&["--lpips-weights", "lin.pth", "--vgg-weights", "vgg.pth"], 2, &["LPIPS: vgg.pth", "hint: torchvision's"]),
        (&["--resume-from-checkpoint", "weights.ckpt"], 2, &["weights.ckpt"]),
        (&["--resume-from-checkpoint", "nowhere"], 2, &["nowhere"]),
        (&["--set", "loss.kl_wieght=1"], 2, &["loss.kl_wieght", "did you mean `kl_weight`"]),
        (&["--dataset", "nowhere"], 2, &["nowhere"]),
    ];
    for (arguments, code, words) in cases {
        let one = ["--max-training-num-steps", "1"];
        let all = [&training_vae(&one)[..], arguments].concat();
        run(folder.path(), &all).ends_with(code).complains(words);
        let left = folder.path().join("vae");
        assert!(!left.exists() || contents(&left).is_empty(), "{arguments:?} left something behind");
    }
}

/// Weights that are no numbers are named with their tensor, in a folder as in a file.
#[test]
fn weights_that_are_no_numbers_are_refused() {
    let folder = with_dataset(2);
    run(folder.path(), &training_vae(&["--max-training-num-steps", "1", "-q"])).ends_with(0);
    let path = folder.path().join("vae/diffusion_pytorch_model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let again = ["--output-dir", "again", "--max-training-num-steps", "1", "--resume-from-checkpoint"];
    for from in ["vae", "vae/diffusion_pytorch_model.safetensors"] {
        let flags = [&["train", "vae", "--dataset", "mels"][..], &SMALL, &again, &[from]].concat();
        run(folder.path(), &flags).ends_with(2).complains(&["finite", "weight"]);
        assert!(!folder.path().join("again/state").exists());
    }
}

/// A real run of it, with `NOCTURNE_PYTHON`.
#[test]
fn diffusers_opens_our_autoencoder_and_reconstructs_the_same() {
    let Some(python) = python("diffusers, numpy, torch") else { return };
    let folder = with_dataset(2);
    run(folder.path(), &training_vae(&["--max-training-num-steps", "2", "-q"])).ends_with(0);
    let values: Vec<f32> = (0..256).map(|index| (index as f32 * 0.37).sin()).collect();
    npy::write(&folder.path().join("mel.npy"), &[1, 1, 16, 16], &values).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reference/reconstruct.py");
    let output = Command::new(python).arg(script).arg(folder.path()).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = npy::read::<f32>(&folder.path().join("expected.npy")).unwrap().values;

    let device = Device::flex();
    let (_, network) = open_vae(&folder.path().join("vae"), &device).unwrap();
    let mel = Tensor::<4>::from_data(TensorData::new(values, [1, 1, 16, 16]), &device);
    let made: Vec<f32> = network.decode(network.encode(mel).mean).into_data().iter::<f32>().collect();
    let most = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let far = made.iter().zip(&expected).fold(0.0_f32, |far, (a, b)| far.max((a - b).abs()));
    assert!(made.len() == expected.len() && far < 1e-4 * most, "off by {far} of {most}");
}
