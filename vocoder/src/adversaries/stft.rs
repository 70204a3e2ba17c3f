use std::f64::consts::PI;

use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};

use super::filters::Filters;

/// A short-time Fourier transform through which gradients flow.
#[derive(Clone, Debug)]
pub(super) struct TensorStft {
    filters: Filters,
    bins: usize,
    padding: usize,
}

impl TensorStft {
    /// Of `window`, as long as a transform, every `hop` samples of a signal that is reflected by `padding` at its ends.
    pub fn new(window: &[f64], hop: usize, padding: usize, device: &Device) -> Self {
        let length = window.len();
        let bins = length / 2 + 1;
        // The angles of whole turns repeat, so that each is rounded once only.
        let waves: Vec<[f64; 2]> = (0..length)
            .map(|index| 2.0 * PI * index as f64 / length as f64)
            .map(|angle| [libm::cos(angle), -libm::sin(angle)])
            .collect();
        let part = |part: usize| {
            let waves = &waves;
            (0..bins).flat_map(move |bin| {
                window.iter().enumerate().map(move |(index, value)| (value * waves[bin * index % length][part]) as f32)
            })
        };
        let filters = Filters::new(part(0).chain(part(1)).collect(), 2 * bins, hop, [0, 0], device);
        Self { filters, bins, padding }
    }

    /// The fewest samples of a signal: more than are reflected, and a window.
    pub fn least_samples(&self) -> usize {
        (self.padding + 1).max((2 * (self.bins - 1)).saturating_sub(2 * self.padding))
    }

    /// # Shapes
    ///
    /// `[batch, 1, sample]` → squared magnitudes `[batch, bin, frame]`
    pub fn power(&self, wave: Tensor<3>) -> Tensor<3> {
        let padded = wave.pad([(self.padding, self.padding)], PadMode::Reflect);
        let parts = self.filters.apply(padded);
        let [real, imaginary] = [0, self.bins].map(|first| parts.clone().narrow(1, first, self.bins).square());
        real + imaginary
    }

    /// Magnitudes; their gradient is zero where they are, as PyTorch has it.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, sample]` → `[batch, bin, frame]`
    pub fn magnitude(&self, wave: Tensor<3>) -> Tensor<3> {
        // The root of less would have no finite gradient.
        const LEAST: f32 = 1e-30;
        self.power(wave).clamp_min(LEAST).sqrt()
    }
}

/// Hann's window, periodic.
pub(super) fn hann(length: usize) -> Vec<f64> {
    (0..length).map(|index| 0.5 - 0.5 * libm::cos(2.0 * PI * index as f64 / length as f64)).collect()
}

/// Ones in the middle of zeros.
pub(super) fn rectangle(length: usize, ones: usize) -> Vec<f64> {
    let first = (length - ones) / 2;
    (0..length).map(|index| if (first..first + ones).contains(&index) { 1.0 } else { 0.0 }).collect()
}
