//! TensorBoard itself opens the log. Needs a Python with `tensorboard`, named by `NOCTURNE_PYTHON`.
#![allow(clippy::unwrap_used, missing_docs)]

mod interpreter;

use std::process::Command;

use interpreter::python;
use nocturne::train::log::Log;
use nocturne::train::samples::{Clip, Sample};
use serde_json::json;

fn sample() -> Sample {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 3, 2);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[0, 50, 100, 150, 200, 250]).unwrap();
    let (rate, frames) = (8000u32, 4u32);
    let wav = [
        b"RIFF".as_slice(),
        &(36 + 2 * frames).to_le_bytes(),
        b"WAVEfmt \x10\0\0\0\x01\0\x01\0",
        &rate.to_le_bytes(),
        &(2 * rate).to_le_bytes(),
        b"\x02\0\x10\0data",
        &(2 * frames).to_le_bytes(),
        &[0; 8],
    ];
    let clip = Clip { sample_rate: rate, channels: 1, frames: frames.into(), wav: wav.concat() };
    Sample { width: 3, height: 2, png, clip: Some(clip) }
}

#[test]
fn tensorboard_reads_scalars_pictures_and_audio() {
    let Some(python) = python("tensorboard") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 0).unwrap();
    for step in 1..=5u8 {
        log.scalar(step.into(), "loss", 1.0 / f32::from(step)).unwrap();
        if step == 4 {
            log.sample(4, "samples/0", &sample()).unwrap();
        }
    }
    drop(log);
    // A resumed run: step 5 is done again.
    Log::open(folder.path(), 4).unwrap().scalar(5, "loss", 0.125).unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_tensorboard.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "scalars": {"loss": [[1, 1.0], [2, 0.5], [3, f64::from(1.0f32 / 3.0)], [4, 0.25], [5, 0.125]]},
        "image": {"step": 4, "width": 3, "height": 2, "png_size": [3, 2]},
        "audio": {"step": 4, "sample_rate": 8000.0, "frames": 4, "content_type": "audio/wav", "riff": "RIFF"},
    });
    assert_eq!(found, expected);
}
