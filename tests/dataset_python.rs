//! Datasets against Python's `datasets`, for real. Set `NOCTURNE_PYTHON` to an interpreter that has it.
#![allow(clippy::unwrap_used, missing_docs)]

mod interpreter;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use interpreter::python;
use nocturne::dataset::{Dataset, Format, MelMethod, PrepareOptions, prepare};
use nocturne::encodings::{Encoding, Encodings, write_column};
use nocturne_models::random::Random;
use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::mel::{MelConfig, pixel_from_unit};

const MODULES: &str = "datasets, numpy, PIL";

fn script(python: &Path, command: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reference/datasets_roundtrip.py");
    let output = Command::new(python).arg(script).arg(command).arg(folder).env("HF_HUB_OFFLINE", "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

/// Eight bits for each value of the examples, as the script expects them: pixels, or float32.
fn dump(dataset: &Dataset, pixels: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for index in 0..dataset.len() {
        let example = dataset.get(index).unwrap();
        if pixels {
            bytes.extend(example.values.iter().map(|value| pixel_from_unit(*value)));
        } else {
            bytes.extend(example.values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
    bytes
}

#[test]
fn python_reads_what_we_write() {
    let Some(python) = python(MODULES) else { return };
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    std::fs::create_dir(&input).unwrap();
    for index in 0..5 {
        let samples = Random::new(index, "python", 0).normal(30_000 + 7000 * index as usize);
        Audio { sample_rate: 22_050, channels: vec![samples.iter().map(|value| value * 0.1).collect()] }
            .write(&input.join(format!("{index}.wav")))
            .unwrap();
    }
    let config = MelConfig { x_res: 24, y_res: 16, hop_length: 256, n_fft: 1024, ..MelConfig::default() };
    let methods = [
        ("image", MelMethod::Image { config, reference_level: None }),
        ("mel", MelMethod::BigVgan { model: "bigvgan_v2_22khz_80band_256x".to_string(), frames: 24 }),
    ];
    for (name, method) in methods {
        for format in [Format::Arrow, Format::Parquet] {
            let output = folder.path().join(format!("{name}-{format}"));
            let options = PrepareOptions {
                format,
                max_shard_bytes: 20_000,
                ..PrepareOptions::new(&input, &output, method.clone())
            };
            prepare(&options, &AtomicBool::new(false), |_| ()).unwrap();
            let (tokens, dim) = if name == "image" { (1, 2) } else { (2, 1) };
            let encoding = |index: u16| Encoding { tokens, dim, values: [f32::from(index), 0.5].into() };
            let encodings = (0..5).map(|index| (index.to_string(), encoding(index))).collect();
            let encodings = Encodings::new(&output, encodings).unwrap();
            write_column(&output, &encodings, &AtomicBool::new(false)).unwrap();
            let dataset = Dataset::open(&output).unwrap();
            std::fs::write(folder.path().join(format!("{name}-{format}.values")), dump(&dataset, name == "image"))
                .unwrap();
        }
    }
    script(&python, "read", folder.path());
}

#[test]
fn we_read_what_python_writes() {
    let Some(python) = python(MODULES) else { return };
    let folder = tempfile::tempdir().unwrap();
    script(&python, "write", folder.path());
    for (name, pixels) in [("image", true), ("mel", false)] {
        let expected = std::fs::read(folder.path().join(format!("{name}.values"))).unwrap();
        for form in ["saved", "hub", "single"] {
            let dataset = Dataset::open(&folder.path().join(format!("{name}-{form}"))).unwrap();
            assert_eq!((dataset.len(), dataset.height(), dataset.width()), (7, 16, 24));
            assert!(dump(&dataset, pixels) == expected, "{name}-{form}");
            let example = dataset.get(4).unwrap();
            assert_eq!((example.audio_file.as_str(), example.slice, example.reference_level), ("music/1.mp3", 1, None));
            assert!(dataset.method().is_none());
        }
    }
}
