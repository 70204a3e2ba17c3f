//! Runs the binary, and makes the small things that it is run on.

use nocturne_vocoder::audio::Audio;
use std::collections::BTreeMap;
use std::f32::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub const RATE: u32 = 22_050;

/// 16 × 16 pictures: a slice is 4 096 samples.
pub const SMALL_MEL: [&str; 6] = ["--resolution", "16", "--hop-length", "256", "--n-fft", "512"];

/// A network of a few thousand parameters.
pub const SMALL_UNET: [&str; 8] = [
    "--set",
    "model.block_out_channels=[8,16]",
    "--set",
    "model.layers_per_block=1",
    "--set",
    "model.norm_num_groups=4",
    "--set",
    "model.attention_head_dim=4",
];

/// How a run of the program ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Fails the test unless the exit code is this one.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless standard error holds all of these, and no sign of a panic.
    #[track_caller]
    pub fn complains(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("defect"), "{}", self.stderr);
        self
    }

    /// The one JSON object on standard output.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "{}", self.stdout);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// The binary with one thread a job: tests run beside one another. It may ask nothing of the Hugging Face hub.
pub fn nocturne(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nocturne"));
    command.current_dir(folder).args(arguments).env_remove("RUST_BACKTRACE").env("RAYON_NUM_THREADS", "1");
    command.env("HF_HUB_OFFLINE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the binary in a folder, to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Run {
    let output = nocturne(folder, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A chord of its own for every index, with a slow envelope.
pub fn tone(folder: &Path, name: &str, index: usize, seconds: f32) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pitch = 110.0 * (1.0 + index as f32 / 7.0);
    let samples = (0..(seconds * RATE as f32) as usize).map(|sample| {
        let time = sample as f32 / RATE as f32;
        let chord: f32 = [1.0, 1.25, 1.5, 4.0].iter().map(|ratio| (TAU * pitch * ratio * time).sin()).sum();
        chord * 0.1 * (1.0 + (TAU * 0.7 * time).sin())
    });
    Audio { sample_rate: RATE, channels: vec![samples.collect()] }.write(&path).unwrap();
}

/// A folder with recordings in `music/` and the dataset of them in `mels/`.
pub fn with_dataset(recordings: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..recordings {
        tone(folder.path(), &format!("music/{index}.wav"), index, 1.0);
    }
    prepare(folder.path(), &["--input-dir", "music", "--output-dir", "mels", "--quiet"]).ends_with(0);
    folder
}

/// `prepare` of small pictures.
pub fn prepare(folder: &Path, arguments: &[&str]) -> Run {
    run(folder, &[&["prepare"][..], &SMALL_MEL, arguments].concat())
}

/// The arguments of a short training of a small network.
pub fn training<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["train", "unet", "--dataset", "mels", "--train-batch-size", "2", "--num-inference-steps", "2"];
    let samples = ["--set", "sampling.num_images=1", "--set", "sampling.n_iter=1"];
    [&fixed[..], &samples, &SMALL_UNET, arguments].concat()
}

/// A folder with a trained `model/`, made once for all tests of this binary.
pub fn with_model() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("command_line");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for index in 0..4 {
            tone(&folder, &format!("music/{index}.wav"), index, 1.0);
        }
        prepare(&folder, &["--input-dir", "music", "--output-dir", "mels", "--quiet"]).ends_with(0);
        run(&folder, &training(&["--output-dir", "model", "--max-training-num-steps", "4", "--quiet"])).ends_with(0);
        folder
    })
}

/// Every file below a folder.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}
