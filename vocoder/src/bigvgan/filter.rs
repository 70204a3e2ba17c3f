//! The low-pass filter of the anti-aliased activations, which all published BigVGANs share.

use burn::tensor::{Device, Tensor};
use nocturne_models::checkpoint::{Checkpoint, CheckpointError};

/// How many taps it has.
pub const TAPS: usize = 12;

/// A sinc of cut-off 0.25 under a Kaiser window of half-width 0.3, sampled at ±½ … ±5½, its sum 1: bit for bit what the
/// published checkpoints hold.
const KAISER_SINC: [f32; TAPS] = [
    0.002_028_964_7,
    0.009_389_466,
    -0.025_543_459,
    -0.057_657_383,
    0.128_572_58,
    0.443_209_8,
    0.443_209_8,
    0.128_572_58,
    -0.057_657_383,
    -0.025_543_459,
    0.009_389_466,
    0.002_028_964_7,
];

/// The filter as a tensor.
///
/// # Shapes
///
/// → `[tap]`
pub fn kaiser_sinc(device: &Device) -> Tensor<1> {
    Tensor::from_floats(KAISER_SINC, device)
}

/// Whether a published tensor is one of the filters, which stand beside every activation.
pub fn is_name(name: &str) -> bool {
    name.ends_with(".upsample.filter") || name.ends_with(".downsample.lowpass.filter")
}

/// Refuses a checkpoint that was made with another filter.
pub fn check_stored(checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    /// A rounding to half precision and back.
    const TOLERANCE: f32 = 1e-3;
    for name in checkpoint.names().filter(|name| is_name(name)) {
        let found = checkpoint.read(name)?;
        let same = found.len() == TAPS && found.iter().zip(KAISER_SINC).all(|(a, b)| (a - b).abs() <= TOLERANCE);
        if !same {
            return Err(CheckpointError::Tensor {
                file: checkpoint.path().to_owned(),
                tensor: name.to_owned(),
                found: format!("another filter, of {} taps", found.len()),
                expected: format!("the published Kaiser-sinc filter of {TAPS} taps"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kaiser's window by its definition, with the β of his formula for the attenuation.
    #[test]
    fn the_taps_are_those_of_the_definition() {
        let bessel = |x: f64| {
            (1..40)
                .fold((1.0, 1.0), |(sum, term), n| {
                    let term = term * (x / 2.0 / f64::from(n)).powi(2);
                    (sum + term, term)
                })
                .0
        };
        let attenuation = 2.285 * 5.0 * std::f64::consts::PI * 4.0 * 0.3 + 7.95;
        let beta = 0.1102 * (attenuation - 8.7);
        let taps: Vec<f64> = (0..TAPS)
            .map(|tap| {
                let time = tap as f64 - 5.5;
                let window = bessel(beta * (1.0 - (time / 5.5).powi(2)).max(0.0).sqrt()) / bessel(beta);
                let angle = std::f64::consts::PI * 0.5 * time;
                window * libm::sin(angle) / angle
            })
            .collect();
        let sum: f64 = taps.iter().sum();
        for (found, expected) in KAISER_SINC.iter().zip(&taps) {
            assert!((f64::from(*found) - expected / sum).abs() < 1e-7, "{found} {}", expected / sum);
        }
        assert!((KAISER_SINC.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
