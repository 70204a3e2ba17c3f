//! Chromas against transformers and librosa's filters, on fixtures of `scripts/reference/chroma.py`.
#![allow(clippy::unwrap_used)]

use std::f64::consts::TAU;
use std::path::Path;

use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::musicgen::MelodySize;
use nocturne_vocoder::chroma::Chroma;

/// Float32 in another order of summation.
const TOLERANCE: f32 = 1e-4;

fn reference() -> Checkpoint {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chroma/chroma.safetensors");
    Checkpoint::open(&file).unwrap()
}

fn compare(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let error = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // Both reach up to 1.
    assert!(error < TOLERANCE, "{name}: {error:e}");
}

fn classes(values: &[f32]) -> Vec<usize> {
    values.iter().map(|class| *class as usize).collect()
}

/// Two voices that glide, one up and one down, as the script makes them.
fn glide(samples: usize, rate: f64) -> Vec<f32> {
    let at = |sample: usize| {
        let time = sample as f64 / rate;
        let (up, down) = (TAU * (220.0 * time + 90.0 * time * time), TAU * (1500.0 * time - 200.0 * time * time));
        (0.6 * up.sin() + 0.3 * down.sin()) as f32
    };
    (0..samples).map(at).collect()
}

#[test]
fn filters_are_those_of_librosa() {
    let reference = reference();
    let small = Chroma::new(8_000, 512, 128, 12);
    compare("small", &small.filters(), &reference.read("small.filters").unwrap());
    let published = Chroma::new(32_000, MelodySize::N_FFT, MelodySize::HOP_LENGTH, 12).filters();
    let some: Vec<f32> =
        published.chunks(MelodySize::N_FFT / 2 + 1).flat_map(|row| row.iter().step_by(61).copied()).collect();
    compare("published", &some, &reference.read("published.filters").unwrap());
}

#[test]
fn chromas_and_their_strongest_classes_match() {
    let reference = reference();
    let small = Chroma::new(8_000, 512, 128, 12);
    let published = Chroma::new(32_000, MelodySize::N_FFT, MelodySize::HOP_LENGTH, 12);
    let samples = |name: &str| reference.read(name).unwrap();
    for (name, chroma, samples) in [
        ("small", &small, samples("small.samples")),
        // Shorter than a transform.
        ("short", &small, samples("short.samples")),
        ("published", &published, glide(50_000, 32_000.0)),
    ] {
        let expected = reference.read(&format!("{name}.chroma")).unwrap();
        compare(name, &chroma.frames(&samples, usize::MAX), &expected);
        let expected = classes(&reference.read(&format!("{name}.strongest")).unwrap());
        assert_eq!(chroma.strongest(&samples, usize::MAX), expected, "{name}");
        assert!(expected.iter().any(|class| *class != expected[0]) || name == "short", "{name} tells classes apart");
    }
}
