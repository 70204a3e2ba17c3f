//! The preparation of pictures for CLIP against PyTorch's, on fixtures of `scripts/reference/clip.py`.
#![allow(clippy::unwrap_used)]

#[path = "common/taps.rs"]
mod taps;

use burn::tensor::Device;
use nocturne_models::clip::{prepare, resize};
use taps::Taps;

fn taps() -> Taps {
    Taps::open("clip/pictures.safetensors", &Device::flex())
}

#[test]
fn pictures_are_resized_as_pytorch_does() {
    let taps = taps();
    for [height, width] in [[23, 37], [5, 7], [40, 9], [16, 16], [150, 131]] {
        let name = format!("resize.{height}x{width}");
        let values = taps.file.read(&format!("{name}.input")).unwrap();
        let error = taps.error(&format!("{name}.output"), &resize(&values, [height, width], [16, 16]));
        assert!(error < 2e-6, "{name}: {error:e}");
    }
    let values = taps.file.read("resize.23x37.input").unwrap();
    let error = taps.error("resize.wide", &resize(&values, [23, 37], [30, 11]));
    assert!(error < 2e-6, "{error:e}");
    let values = taps.file.read("resize.16x16.input").unwrap();
    assert_eq!(resize(&values, [16, 16], [16, 16]), values);
}

#[test]
fn pictures_are_prepared_as_published() {
    let taps = taps();
    let values = taps.file.read("prepare.input").unwrap();
    let shape = taps.file.shape("prepare.input").unwrap();
    let prepared = prepare(&values, [shape[0], shape[2], shape[3]], 16, &Device::flex()).unwrap();
    taps.compare("prepare.output", &prepared);
}

#[test]
fn pictures_that_are_none_are_refused() {
    let refused = |values: &[f32], shape, side| prepare(values, shape, side, &Device::flex()).unwrap_err().to_string();
    for (shape, side) in [([0, 2, 2], 8), ([1, 0, 2], 8), ([1, 2, 0], 8), ([1, 2, 2], 0)] {
        let message = refused(&[0.5; 12], shape, side);
        assert!(message.contains("dimension of 0"), "{message}");
    }
    let message = refused(&[0.5; 11], [1, 2, 2], 8);
    assert!(message.contains("found 11") && message.contains("[1, 3, 2, 2]"), "{message}");
    assert!(refused(&[], [usize::MAX, 2, 2], 8).contains("values"));
    // Bytes that nobody divided by 255, and what is no number.
    for bad in [200.0, -0.1, f32::NAN, f32::INFINITY] {
        let mut values = [0.5; 12];
        values[7] = bad;
        let message = refused(&values, [1, 2, 2], 8);
        assert!(message.contains(&format!("found {bad}, expected 0 to 1")), "{message}");
    }
}
