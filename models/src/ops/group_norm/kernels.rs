//! Group normalisation and its gradients on slices.

use rayon::prelude::*;

use crate::ops::simd::{sigmoid, sum_of_pairs, vectorised};

/// What is normalised how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    /// Batch, channels and positions.
    pub shape: [usize; 3],
    pub groups: usize,
    pub epsilon: f64,
    pub silu: bool,
}

/// The mean and the reciprocal standard deviation of one group.
pub(super) type Moments = [f32; 2];

/// The gradients of the input, of the scale and of the shift.
pub(super) struct Gradients {
    pub input: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl Norm {
    fn channels_per_group(&self) -> usize {
        self.shape[1] / self.groups
    }

    fn group_size(&self) -> usize {
        self.channels_per_group() * self.shape[2]
    }
}

/// # Shapes
///
/// `[batch, channel, position]`, `[channel]`, `[channel]` → the same as the first, and moments `[batch, group]`
pub(super) fn forward(norm: &Norm, input: &[f32], scale: &[f32], shift: &[f32]) -> (Vec<f32>, Vec<Moments>) {
    let size = norm.group_size();
    let mut output = vec![0.0; input.len()];
    let moments = output
        .par_chunks_exact_mut(size)
        .zip(input.par_chunks_exact(size))
        .enumerate()
        .map(|(index, (output, input))| {
            let first = index % norm.groups * norm.channels_per_group();
            vectorised(|| forward_group(norm, input, &scale[first..], &shift[first..], output))
        })
        .collect();
    (output, moments)
}

#[inline(always)]
fn forward_group(norm: &Norm, input: &[f32], scale: &[f32], shift: &[f32], output: &mut [f32]) -> Moments {
    let count = input.len() as f32;
    let mean = sum_of_pairs(input, input, |value, _| value) / count;
    let variance = sum_of_pairs(input, input, |value, _| (value - mean) * (value - mean)) / count;
    let reciprocal = (1.0 / (f64::from(variance) + norm.epsilon).sqrt()) as f32;
    let channels = input.chunks_exact(norm.shape[2]).zip(output.chunks_exact_mut(norm.shape[2]));
    for ((input, output), (scale, shift)) in channels.zip(scale.iter().zip(shift)) {
        for (output, input) in output.iter_mut().zip(input) {
            let normal = (input - mean) * reciprocal * scale + shift;
            *output = if norm.silu { normal * sigmoid(normal) } else { normal };
        }
    }
    [mean, reciprocal]
}

/// # Shapes
///
/// gradient of the output and input `[batch, channel, position]`, `[channel]`, `[channel]`, moments `[batch, group]`
pub(super) fn backward(
    norm: &Norm,
    gradient: &[f32],
    input: &[f32],
    [scale, shift]: [&[f32]; 2],
    moments: &[Moments],
) -> Gradients {
    let (size, channels) = (norm.group_size(), norm.shape[1]);
    let mut of_input = vec![0.0; input.len()];
    // For each channel of each item: the gradients of scale and shift.
    let mut sums = vec![[0.0f32; 2]; norm.shape[0] * channels];
    of_input
        .par_chunks_exact_mut(size)
        .zip(sums.par_chunks_exact_mut(norm.channels_per_group()))
        .zip(gradient.par_chunks_exact(size).zip(input.par_chunks_exact(size)))
        .zip(moments)
        .enumerate()
        .for_each(|(index, (((of_input, sums), (gradient, input)), moments))| {
            let first = index % norm.groups * norm.channels_per_group();
            let affine = [&scale[first..], &shift[first..]];
            vectorised(|| backward_group(norm, gradient, input, affine, *moments, of_input, sums));
        });
    let mut totals = vec![[0.0f32; 2]; channels];
    for item in sums.chunks_exact(channels) {
        for (total, sums) in totals.iter_mut().zip(item) {
            *total = [total[0] + sums[0], total[1] + sums[1]];
        }
    }
    let [scale, shift] = [0, 1].map(|index| totals.iter().map(|total| total[index]).collect());
    Gradients { input: of_input, scale, shift }
}

#[inline(always)]
fn backward_group(
    norm: &Norm,
    gradient: &[f32],
    input: &[f32],
    [scale, shift]: [&[f32]; 2],
    [mean, reciprocal]: Moments,
    of_input: &mut [f32],
    sums: &mut [[f32; 2]],
) {
    let positions = norm.shape[2];
    let (mut plain, mut weighted) = (0.0, 0.0);
    let channels = gradient.chunks_exact(positions).zip(input.chunks_exact(positions));
    for (channel, ((gradient, input), kept)) in channels.zip(of_input.chunks_exact_mut(positions)).enumerate() {
        // First the gradient behind scale and shift, kept where the input's will be.
        for ((kept, gradient), input) in kept.iter_mut().zip(gradient).zip(input) {
            let normal = (input - mean) * reciprocal * scale[channel] + shift[channel];
            *kept = if norm.silu {
                let sigmoid = sigmoid(normal);
                gradient * sigmoid * (1.0 + normal * (1.0 - sigmoid))
            } else {
                *gradient
            };
        }
        let of_scale = sum_of_pairs(kept, input, |gradient, input| gradient * ((input - mean) * reciprocal));
        let of_shift = sum_of_pairs(kept, kept, |gradient, _| gradient);
        sums[channel] = [of_scale, of_shift];
        plain += scale[channel] * of_shift;
        weighted += scale[channel] * of_scale;
    }
    let count = input.len() as f32;
    let (plain, weighted) = (plain / count, weighted / count);
    for ((kept, input), scale) in of_input.chunks_exact_mut(positions).zip(input.chunks_exact(positions)).zip(scale) {
        for (kept, input) in kept.iter_mut().zip(input) {
            *kept = (*kept * scale - plain - (input - mean) * reciprocal * weighted) * reciprocal;
        }
    }
}
