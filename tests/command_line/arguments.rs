use super::support::{run, tone};
use std::path::Path;

const HERE: &str = env!("CARGO_TARGET_TMPDIR");

#[test]
fn every_command_explains_itself() {
    let commands: [&[&str]; 6] = [&[], &["prepare"], &["train"], &["train", "unet"], &["generate"], &["quickstart"]];
    for command in commands {
        let help = run(Path::new(HERE), &[command, &["--help"]].concat()).ends_with(0);
        assert!(help.stderr.is_empty() && help.stdout.contains("Usage: nocturne"), "{}", help.stdout);
        for flag in ["--device", "--seed", "--config", "--set", "--quiet", "--json"] {
            assert!(help.stdout.contains(flag), "{command:?} {flag}");
        }
    }
    run(Path::new(HERE), &["--version"]).ends_with(0);
}

#[test]
fn wrong_arguments_end_with_two_and_a_hint() {
    let cases: [(&[&str], &str); 7] = [
        (&[], "Usage"),
        (&["train"], "Usage"),
        (&["prepair"], "prepare"),
        (&["generate"], "--model"),
        (&["train", "unet", "--output-dirr", "x"], "--output-dir"),
        (&["doctor", "--device", "gpu"], "cuda:N"),
        (&["doctor", "--seed", "-1"], "-1"),
    ];
    for (arguments, word) in cases {
        let run = run(Path::new(HERE), arguments).ends_with(2).complains(&[word]);
        assert!(run.stdout.is_empty(), "{}", run.stdout);
    }
}

#[test]
fn doctor_names_devices_and_codecs() {
    let report = run(Path::new(HERE), &["doctor", "--json"]).ends_with(0).json();
    assert_eq!(report["devices"][0]["select"], "cpu");
    assert!(report["reads"].as_array().unwrap().iter().any(|name| name == "flac"), "{report}");
}

#[test]
fn later_flags_win_and_flags_win_over_set_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    tone(folder.path(), "music/a.wav", 0, 0.5);
    let yaml = "data:\n  input_dir: music\n  resolution: [8, 8]\n  hop_length: 64\n  n_fft: 512\n  top_db: 60\n";
    std::fs::write(folder.path().join("experiment.yaml"), yaml).unwrap();
    let arguments = [
        "prepare",
        "--config=experiment.yaml",
        "--set",
        "data.hop_length=128",
        "--set",
        "data.resolution=[16,8]",
        "--hop_length",
        "100",
        "--hop-length",
        "256",
        "--output-dir",
        "mels",
    ];
    run(folder.path(), &arguments).ends_with(0);
    let mel = std::fs::read_to_string(folder.path().join("mels/mel/mel_config.json")).unwrap();
    let mel: serde_json::Value = serde_json::from_str(&mel).unwrap();
    let field = |name: &str| mel[name].as_u64().unwrap();
    assert_eq!((field("x_res"), field("y_res"), field("hop_length"), field("top_db")), (16, 8, 256, 60));

    let cases = [
        ("data:\n  hop_lenght: 3\n", "did you mean `hop_length`"),
        ("data:\n\t- 3\n", "not valid YAML"),
        ("[1, 2]\n", "expected a section"),
        ("data: 3\n", "`data`"),
        ("data:\n  n_fft: many\n", "a whole number of 0 or more"),
    ];
    for (text, word) in cases {
        std::fs::write(folder.path().join("wrong.yaml"), text).unwrap();
        let arguments = ["prepare", "--config", "wrong.yaml", "--output-dir", "x"];
        run(folder.path(), &arguments).ends_with(2).complains(&[word]);
    }
}
