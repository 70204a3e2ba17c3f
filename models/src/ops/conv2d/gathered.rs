//! The convolution and its gradients as matrix products over tiles of gathered columns: every kernel, every stride.

use rayon::prelude::*;

use super::columns::{gather, scatter};
use super::geometry::Geometry;
use crate::ops::matrix::{Matrix, multiply, transpose};
use crate::ops::simd::vectorised;

/// Rows of gathered columns are this much longer than the tile, lest all of them meet in the same lines of the cache.
const STAGGER: usize = 16;

/// # Shapes
///
/// `[batch, in, height, width]`, `[out, in, kernel, kernel]`, `[out]` → `[batch, out, height, width]`
pub(super) fn forward(g: &Geometry, input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let (positions, depth) = (g.positions(), g.depth());
    let width = Geometry::tile(depth).min(positions);
    let pitch = width + STAGGER;
    let mut output = vec![0.0; g.batch * g.channels_out * positions];
    // For each tile of each item, its part of every output channel.
    let mut tiles: Vec<Vec<&mut [f32]>> = Vec::new();
    for item in output.chunks_exact_mut(g.channels_out * positions) {
        let first = tiles.len();
        tiles.resize_with(first + positions.div_ceil(width), || Vec::with_capacity(g.channels_out));
        for plane in item.chunks_exact_mut(positions) {
            for (tile, part) in tiles[first..].iter_mut().zip(plane.chunks_mut(width)) {
                tile.push(part);
            }
        }
    }
    let tiles_per_item = positions.div_ceil(width);
    tiles.into_par_iter().enumerate().for_each_init(
        || (vec![0.0; if g.is_pointwise() { 0 } else { depth * pitch }], vec![0.0; g.channels_out * width]),
        |(columns, product), (index, tile)| {
            let start = index % tiles_per_item * width;
            let range = start..positions.min(start + width);
            let planes =
                &input[index / tiles_per_item * g.channels_in * g.input_plane()..][..g.channels_in * g.input_plane()];
            let shape = [g.channels_out, depth, range.len()];
            let columns = if g.is_pointwise() {
                Matrix::rows(&planes[start..], positions)
            } else {
                vectorised(|| gather(g, planes, &range, columns, pitch));
                Matrix::rows(columns, pitch)
            };
            multiply(product, width, Matrix::rows(weight, depth), columns, shape, false);
            for (channel, part) in tile.into_iter().enumerate() {
                let bias = bias[channel];
                for (value, product) in part.iter_mut().zip(&product[channel * width..]) {
                    *value = product + bias;
                }
            }
        },
    );
    output
}

/// # Shapes
///
/// gradient of the output `[batch, out, height, width]`, weights → gradient of the input
pub(super) fn input_gradient(g: &Geometry, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
    match g.reversed() {
        Some(reversed) => forward(&reversed, gradient, &reversed_weights(g, weight), &vec![0.0; g.channels_in]),
        None => scattered_gradient(g, gradient, weight),
    }
}

/// Kernels turned by 180°, channels exchanged.
fn reversed_weights(g: &Geometry, weight: &[f32]) -> Vec<f32> {
    let taps = g.taps();
    let mut reversed = Vec::with_capacity(weight.len());
    for channel_in in 0..g.channels_in {
        for kernels in weight.chunks_exact(g.depth()) {
            reversed.extend(kernels[channel_in * taps..][..taps].iter().rev());
        }
    }
    reversed
}

/// The gradient of the input for strides above one, where turned kernels would multiply mostly zeros: a product, then
/// every column back to where it was gathered.
fn scattered_gradient(g: &Geometry, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
    let (positions, depth, taps, plane) = (g.positions(), g.depth(), g.taps(), g.input_plane());
    let channels = channels_at_once(g);
    let width = Geometry::tile(channels * taps).min(positions);
    let pitch = width + STAGGER;
    let mut output = vec![0.0; g.batch * g.channels_in * plane];
    let chunks: Vec<_> = output
        .chunks_exact_mut(g.channels_in * plane)
        .zip(gradient.chunks_exact(g.channels_out * positions))
        .flat_map(|(item, gradient)| {
            item.chunks_mut(channels * plane).enumerate().map(move |(chunk, planes)| (chunk, planes, gradient))
        })
        .collect();
    chunks.into_par_iter().for_each_init(
        || vec![0.0; channels * taps * pitch],
        |columns, (chunk, planes, gradient)| {
            let rows = planes.len() / plane * taps;
            let weight = Matrix::rows(&weight[chunk * channels * taps..], depth).transposed();
            for start in (0..positions).step_by(width) {
                let range = start..positions.min(start + width);
                let gradient = Matrix::rows(&gradient[start..], positions);
                multiply(columns, pitch, weight, gradient, [rows, g.channels_out, range.len()], false);
                vectorised(|| scatter(g, columns, pitch, &range, planes));
            }
        },
    );
    output
}

/// # Shapes
///
/// input, gradient of the output → gradient of the weights `[out, in, kernel, kernel]`
pub(super) fn weight_gradient(g: &Geometry, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let (positions, depth, taps, plane) = (g.positions(), g.depth(), g.taps(), g.input_plane());
    let channels = channels_at_once(g);
    let width = Geometry::tile(channels * taps).min(positions);
    let pitch = width + STAGGER;
    // Channels last: every chunk of input channels reads the gradient that way.
    let mut last = vec![0.0; gradient.len()];
    last.par_chunks_exact_mut(g.channels_out * positions)
        .zip(gradient.par_chunks_exact(g.channels_out * positions))
        .for_each(|(last, gradient)| transpose(gradient, positions, last));
    let mut transposed = vec![0.0; depth * g.channels_out];
    // A chunk of input channels adds up all items and tiles itself, in order.
    transposed.par_chunks_mut(channels * taps * g.channels_out).enumerate().for_each_init(
        || vec![0.0; if g.is_pointwise() { 0 } else { channels * taps * pitch }],
        |columns, (chunk, sums)| {
            let rows = sums.len() / g.channels_out;
            let items = input.chunks_exact(g.channels_in * plane).zip(last.chunks_exact(g.channels_out * positions));
            for (item, gradient) in items {
                let planes = &item[chunk * channels * plane..][..rows / taps * plane];
                for start in (0..positions).step_by(width) {
                    let range = start..positions.min(start + width);
                    let gradient = Matrix::rows(&gradient[start * g.channels_out..], g.channels_out);
                    let shape = [rows, range.len(), g.channels_out];
                    let columns = if g.is_pointwise() {
                        Matrix::rows(&planes[start..], positions)
                    } else {
                        vectorised(|| gather(g, planes, &range, columns, pitch));
                        Matrix::rows(columns, pitch)
                    };
                    multiply(sums, g.channels_out, columns, gradient, shape, true);
                }
            }
        },
    );
    let mut output = vec![0.0; transposed.len()];
    transpose(&transposed, g.channels_out, &mut output);
    output
}

/// Input channels that one task works on, where tasks share the channels: enough rows for the matrix kernel, enough tasks
/// for the threads.
fn channels_at_once(g: &Geometry) -> usize {
    (144 / g.taps()).clamp(1, g.channels_in.div_ceil(2).max(1))
}
