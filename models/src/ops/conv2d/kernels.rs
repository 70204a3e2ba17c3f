//! The convolution and its three gradients on slices, each by the faster of its forms.

use rayon::prelude::*;

use super::gathered;
use super::geometry::Geometry;
use super::winograd::{self, Kernels};
use crate::ops::simd::sum;

/// # Shapes
///
/// `[batch, in, height, width]`, `[out, in, kernel, kernel]`, `[out]` → `[batch, out, height, width]`
pub(super) fn forward(g: &Geometry, input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    if winograd::pays(g) {
        let kernels = Kernels { values: weight, strides: [g.depth(), g.taps()], turned: false };
        winograd::forward(g, input, kernels, bias)
    } else {
        gathered::forward(g, input, weight, bias)
    }
}

/// # Shapes
///
/// gradient of the output `[batch, out, height, width]`, weights → gradient of the input
pub(super) fn input_gradient(g: &Geometry, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
    match g.reversed() {
        Some(reversed) if winograd::pays(&reversed) => {
            let kernels = Kernels { values: weight, strides: [g.taps(), g.depth()], turned: true };
            winograd::forward(&reversed, gradient, kernels, &vec![0.0; g.channels_in])
        }
        _ => gathered::input_gradient(g, gradient, weight),
    }
}

/// # Shapes
///
/// input, gradient of the output → gradient of the weights `[out, in, kernel, kernel]`
pub(super) fn weight_gradient(g: &Geometry, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    if winograd::pays(g) {
        winograd::weight_gradient(g, input, gradient)
    } else {
        gathered::weight_gradient(g, input, gradient)
    }
}

/// # Shapes
///
/// gradient of the output → gradient of the bias `[out]`
pub(super) fn bias_gradient(g: &Geometry, gradient: &[f32]) -> Vec<f32> {
    let planes: Vec<f32> = gradient.par_chunks_exact(g.positions()).map(sum).collect();
    let mut output = vec![0.0; g.channels_out];
    for item in planes.chunks_exact(g.channels_out) {
        for (total, plane) in output.iter_mut().zip(item) {
            *total += plane;
        }
    }
    output
}
