//! What the tests of the front ends share with `scripts/reference`.
#![allow(clippy::unwrap_used)]

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use nocturne_models::checkpoint::Checkpoint;
use nocturne_vocoder::audio::Audio;

/// A tone that rises and a low one. Its highest and its lowest sample differ.
pub fn sound(sample_rate: u32, seconds: f64) -> Audio {
    let sample = |index: usize| {
        let time = index as f64 / f64::from(sample_rate);
        let sweep = libm::sin(TAU * (200.0 * time + 900.0 * time * time)) + 0.3 * libm::sin(TAU * 60.0 * time);
        (0.3 * sweep - 0.05) as f32
    };
    let length = (f64::from(sample_rate) * seconds) as usize;
    Audio { sample_rate, channels: vec![(0..length).map(sample).collect()] }
}

/// A file below the crate's folder.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The mean and the largest difference of `found` from a tensor of a fixture, which are logarithms.
pub fn difference(found: &[f32], fixture: &str, name: &str) -> [f32; 2] {
    let expected = Checkpoint::open(&file(&format!("tests/fixtures/{fixture}"))).unwrap().read(name).unwrap();
    assert_eq!(found.len(), expected.len(), "{name}");
    assert!(found.iter().all(|value| value.is_finite()), "{name}");
    let differences: Vec<f32> = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).collect();
    [differences.iter().sum::<f32>() / differences.len() as f32, differences.iter().copied().fold(0.0, f32::max)]
}
