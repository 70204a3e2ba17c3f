use super::interpreter::python;
use super::support::{contents, run, tone, with_dataset};
use nocturne::report::wav;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A generator and discriminators of a few thousand parameters, on segments of a tenth of a second.
const SMALL: [&str; 26] = [
    "--set",
    "model.upsample_initial_channel=8",
    "--set",
    "model.upsample_rates=[16,16]",
    "--set",
    "model.upsample_kernel_sizes=[32,32]",
    "--set",
    "model.num_mels=16",
    "--set",
    "model.resblock_kernel_sizes=[3]",
    "--set",
    "model.resblock_dilation_sizes=[[1]]",
    "--set",
    "adversaries.discriminator_channel_mult=0.03125",
    "--set",
    "adversaries.cqtd_filters=2",
    "--set",
    "adversaries.mpd_reshapes=[2,3]",
    "--set",
    "adversaries.cqtd_bins_per_octaves=[4,4,6]",
    "--segment-size",
    "2048",
    "--train-batch-size",
    "2",
    "--learning-rate",
    "1e-3",
];

fn training<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["train", "vocoder"][..], &SMALL, arguments].concat()
}

/// Recordings of more than a segment each.
fn music(recordings: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..recordings {
        tone(folder.path(), &format!("music/{index}.wav"), index, 0.5);
    }
    folder
}

#[test]
fn from_recordings_to_a_vocoder_that_is_heard() {
    let folder = music(4);
    let flags = ["--input-dir", "music", "--output-dir", "vocoder", "--max-training-num-steps", "2", "--json"];
    let report = run(folder.path(), &training(&flags)).ends_with(0).json();
    assert_eq!((report["steps"].as_u64(), report["interrupted"].as_bool()), (Some(2), Some(false)), "{report}");
    for measure in ["mel_loss", "validation_loss"] {
        assert!(report[measure].as_f64().unwrap() > 0.0, "{report}");
    }
    let vocoder = folder.path().join("vocoder");
    for file in [
        "config.json",
        "bigvgan_generator.pt",
        "bigvgan_discriminator.safetensors",
        "nocturne.yaml",
        "state/step-2/weights.safetensors",
        "state/step-2/discriminator_exp_avg.safetensors",
        "samples/step-2/original/000000.wav",
        "samples/step-2/reconstruction/000000.png",
    ] {
        assert!(vocoder.join(file).is_file(), "{file}");
    }
    let logged = fs::read_to_string(vocoder.join("logs/train.jsonl")).unwrap();
    for part in ["mel_spec_error", "feature_loss", "generator_loss", "discriminator_loss", "gradient_norm_mrd"] {
        assert!(logged.contains(part), "no {part} in {logged}");
    }

    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    // What was written is a start for another run, and a vocoder.
    let again = ["--input-dir", "music", "--output-dir", "again", "--from-pretrained", "vocoder", "-q"];
    let arguments = [&["train", "vocoder", "--max-training-num-steps", "1"][..], &again].concat();
    run(folder.path(), &arguments).ends_with(0);
    assert_eq!(read("vocoder/config.json"), read("again/config.json"));
    nocturne::npy::write(&folder.path().join("mel.npy"), &[1, 16, 20], &[-4.0_f32; 320]).unwrap();
    let vocode =
        ["vocode", "--vocoder", "bigvgan", "--checkpoint", "again", "--input", "mel.npy", "--output-dir", "new"];
    run(folder.path(), &vocode).ends_with(0);
}

#[test]
fn an_interrupted_run_ends_as_a_whole_one() {
    let folder = music(3);
    let flags = |output: &'static str, steps: &'static str| {
        [
            "--input-dir",
            "music",
            "--output-dir",
            output,
            "--max-training-num-steps",
            steps,
            "-q",
            "--set",
            "train.log_steps=1",
        ]
    };
    run(folder.path(), &training(&flags("whole", "4"))).ends_with(0);
    run(folder.path(), &training(&flags("parts", "2"))).ends_with(0);
    run(folder.path(), &training(&flags("parts", "4"))).ends_with(2).complains(&["resume"]);
    run(folder.path(), &[&training(&flags("parts", "4"))[..], &["--resume"]].concat()).ends_with(0);
    let state = |name: &str| {
        let mut files = contents(&folder.path().join(name).join("state/step-4"));
        files.retain(|path, _| path.extension().is_some_and(|extension| extension == "safetensors"));
        files
    };
    let (whole, parts) = (state("whole"), state("parts"));
    assert_eq!(whole.len(), 6);
    assert!(whole == parts, "a resumed run differs");
    let published = |name: &str| fs::read(folder.path().join(name).join("bigvgan_generator.pt")).unwrap();
    assert!(published("whole") == published("parts"));
}

#[test]
fn a_dataset_names_its_recordings() {
    let folder = with_dataset(2);
    let flags = ["--dataset", "mels", "--output-dir", "vocoder", "--max-training-num-steps", "1", "--json"];
    let report = run(folder.path(), &training(&flags)).ends_with(0).json();
    assert_eq!(report["steps"], 1);
}

#[test]
fn what_cannot_be_trained_on_is_refused_before_any_step() {
    let folder = music(2);
    let refused = |arguments: &[&str], words: &[&str]| {
        let fixed = ["--output-dir", "vocoder", "--max-training-num-steps", "1"];
        run(folder.path(), &[&training(&fixed)[..], arguments].concat()).ends_with(2).complains(words);
        assert!(!folder.path().join("vocoder/state").exists());
    };
    refused(&[], &["--input-dir", "--dataset"]);
    refused(&["--input-dir", "nowhere"], &["nowhere"]);
    refused(&["--input-dir", "music", "--segment-size", "20480"], &["longest", "0.50 s", "0.93 s", "--segment-size"]);
    refused(&["--input-dir", "music", "--segment-size", "2000"], &["vocoder.segment_size", "hop_size"]);
    refused(&["--input-dir", "music", "--set", "adversaries.cqtd_hop_lengths=[512,256,100]"], &["cqtd_hop_lengths"]);
    refused(&["--input-dir", "music", "--set", "model.upsample_rates=[16,8]"], &["upsample_rates"]);
    refused(&["--input-dir", "music", "--set", "train.use_ema=true"], &["train.use_ema"]);
    refused(
        &["--input-dir", "music", "--bigvgan-model", "bigvgan_v9"],
        &["bigvgan_v9", "bigvgan_v2_22khz_80band_256x"],
    );
    refused(&["--input-dir", "music", "--from-pretrained", "nowhere"], &["`nowhere`", "Hugging Face cache"]);
    fs::create_dir(folder.path().join("broken")).unwrap();
    fs::write(folder.path().join("broken/a.wav"), b"RIFF").unwrap();
    refused(&["--input-dir", "broken"], &["a.wav", "none of its 1 recordings"]);

    // A checkpoint of other shapes.
    let flags = ["--input-dir", "music", "--output-dir", "other", "--max-training-num-steps", "1", "-q"];
    run(folder.path(), &training(&flags)).ends_with(0);
    let other = ["--from-pretrained", "other", "--input-dir", "music", "--set", "model.num_mels=20"];
    let fixed = ["train", "vocoder", "--output-dir", "vocoder", "--max-training-num-steps", "1"];
    run(folder.path(), &[&fixed[..], &other].concat())
        .ends_with(2)
        .complains(&["bigvgan_generator.pt", "conv_pre.weight"]);
}

/// One whose last sample is no number, behind a header like any other, and one that is none: training goes on as if they were not
/// there.
#[test]
fn broken_recordings_are_left_out_and_named() {
    let folder = music(3);
    let path = |name: &str| folder.path().join(name);
    let flags = |output| ["--input-dir", "music", "--output-dir", output, "--max-training-num-steps", "1", "--json"];
    let whole = run(folder.path(), &training(&flags("whole"))).ends_with(0).json();
    assert_eq!(whole["skipped"], 0);
    let mut recording = wav(&[0.0; 4000], 8000);
    // Half as many samples of 32 bits in floats.
    (recording[20], recording[32], recording[34]) = (3, 4, 32);
    recording.truncate(recording.len() - 4);
    recording.extend(f32::NAN.to_le_bytes());
    fs::write(path("music/broken.wav"), recording).unwrap();
    fs::write(path("music/text.mp3"), "no music").unwrap();
    let names = ["music/broken.wav", "music/text.mp3"];
    let report = run(folder.path(), &training(&flags("parts"))).ends_with(3).complains(&names).json();
    assert_eq!(report["skipped"], 2);
    let list = fs::read_to_string(path("parts/skipped.jsonl")).unwrap();
    for (line, name) in list.lines().zip(names) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["audio_file"] == name && !line["reason"].as_str().unwrap().is_empty(), "{line}");
    }
    assert_eq!(list.lines().count(), 2);
    let weights = |name: &str| fs::read(path(name).join("bigvgan_generator.pt")).unwrap();
    assert!(weights("whole") == weights("parts"));

    for name in names {
        fs::remove_file(path(name)).unwrap();
    }
    let resumed = [&training(&flags("parts"))[..], &["--resume"]].concat();
    run(folder.path(), &resumed).ends_with(0);
    assert!(!path("parts/skipped.jsonl").exists());
}

/// What is written beside the state is believed as long as a recording does not change.
#[test]
fn a_resumed_run_does_not_decode_all_again() {
    let folder = music(3);
    let flags = |steps| {
        ["--input-dir", "music", "--output-dir", "vocoder", "--max-training-num-steps", steps, "--json", "--resume"]
    };
    run(folder.path(), &training(&flags("1"))).ends_with(0);
    let list = folder.path().join("vocoder/state/recordings.jsonl");
    let known = fs::read_to_string(&list).unwrap();
    assert_eq!(known.lines().count(), 3);
    let told = known.replacen("\"samples\":11025", "\"reason\":\"as told\"", 1);
    assert_ne!(told, known);
    fs::write(&list, told).unwrap();
    run(folder.path(), &training(&flags("2"))).ends_with(3).complains(&["music/0.wav", "as told"]);
    fs::write(folder.path().join("music/0.wav"), wav(&[0.25; 4000], 8000)).unwrap();
    run(folder.path(), &training(&flags("3"))).ends_with(0);
}

/// Another rate, and one recording that is shorter than a segment.
#[test]
fn recordings_are_taken_to_the_rate_and_the_length_of_the_model() {
    let folder = music(1);
    let short = wav(&[0.25; 1000], 8000);
    fs::write(folder.path().join("music/short.wav"), short).unwrap();
    let flags = ["--input-dir", "music", "--output-dir", "vocoder", "--max-training-num-steps", "1"];
    run(folder.path(), &training(&flags)).ends_with(0);
    fs::write(folder.path().join("music/shorter.wav"), wav(&[0.25; 500], 8000)).unwrap();
    let flags = ["--input-dir", "music", "--output-dir", "again", "--max-training-num-steps", "1"];
    run(folder.path(), &training(&flags)).ends_with(0).complains(&["1 of the recordings, shorter than a segment"]);
}

#[test]
fn pytorch_opens_the_generator() {
    let Some(python) = python("torch") else { return };
    let folder = music(2);
    let flags = ["--input-dir", "music", "--output-dir", "vocoder", "--max-training-num-steps", "1", "-q"];
    run(folder.path(), &training(&flags)).ends_with(0);
    let script = "import sys, torch\n\
        weights = torch.load(sys.argv[1], weights_only=True)['generator']\n\
        assert weights['conv_pre.weight_v'].shape == (8, 16, 7), weights['conv_pre.weight_v'].shape\n\
        assert weights['conv_pre.weight_g'].shape == (8, 1, 1)\n\
        assert weights['resblocks.0.activations.0.upsample.filter'].shape == (1, 1, 12)\n\
        assert all(torch.isfinite(value).all() for value in weights.values())";
    let file = folder.path().join(Path::new("vocoder/bigvgan_generator.pt"));
    let status = Command::new(python).args(["-c", script]).arg(file).status().unwrap();
    assert!(status.success());
}
