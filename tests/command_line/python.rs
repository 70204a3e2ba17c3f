//! Model folders against Python's diffusers, for real, both ways. Set `NOCTURNE_PYTHON` to an interpreter that has what
//! `scripts/reference/requirements.txt` lists.

use super::interpreter::python;
use super::support::{run, with_model};
use nocturne::npy;
use std::path::Path;
use std::process::Command;

const MODULES: &str = "diffusers, librosa, numpy, torch";

/// Runs a command of `scripts/reference/generate.py` on a folder that holds `model`, `noise.npy` and `expected.npy`.
fn script(python: &Path, command: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reference/generate.py");
    let output = Command::new(python).arg(script).arg(command).arg(folder).env("HF_HUB_OFFLINE", "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

/// Our mels of `noise.npy` are diffusers' `expected.npy`.
fn compare(folder: &Path) {
    let flags = ["generate", "--model", "model", "--noise", "noise.npy", "--output-dir", "ours", "--n-iter", "1"];
    run(folder, &[&flags[..], &["--num-inference-steps", "5", "-q"]].concat()).ends_with(0);
    let expected = npy::read::<f32>(&folder.join("expected.npy")).unwrap();
    let size = expected.values.len() / expected.shape[0];
    for (index, expected) in expected.values.chunks(size).enumerate() {
        let ours = npy::read::<f32>(&folder.join(format!("ours/mels/{index:06}.npy"))).unwrap();
        let spread = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let far = ours.values.iter().zip(expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        // Float32 sums in another order, through five forward passes.
        assert!(spread > 0.1 && far < 1e-3 * spread.max(1.0), "mel {index}: off by {far} of {spread}");
    }
}

#[test]
#[cfg(unix)]
fn diffusers_opens_our_model_and_makes_the_same_mels() {
    let Some(python) = python(MODULES) else { return };
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(with_model().join("model"), folder.path().join("model")).unwrap();
    script(&python, "read", folder.path());
    compare(folder.path());
}

#[test]
fn we_open_a_model_that_diffusers_saved_and_make_the_same_mels() {
    let Some(python) = python(MODULES) else { return };
    for command in ["write", "write-old"] {
        let folder = tempfile::tempdir().unwrap();
        script(&python, command, folder.path());
        compare(folder.path());
    }
}
