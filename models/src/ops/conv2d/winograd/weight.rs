use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::product::{PANEL, over_tiles};
use super::scratch::with_scratch;
use super::tiles::{self, GROUP, Group, Points, Strip, ZERO};
use super::{Geometry, OUT, POINTS, grid, patch, planes, seen};

/// Taps of a kernel.
const TAPS: usize = 9;

/// # Shapes
///
/// input, gradient of the output → gradient of the weights `[out, in, 3, 3]`
pub(in super::super) fn weight_gradient(g: &Geometry, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    /// What is held at the points at a time, all threads together.
    const CACHED: usize = 8 << 20;
    let [rows, columns] = grid(g.output);
    let [groups_in, groups_out] = [g.channels_in, g.channels_out].map(|channels| channels.div_ceil(GROUP));
    let strips = g.batch * rows;
    let groups = groups_in + groups_out;
    let at_once = (CACHED / (POINTS * size_of::<Group>() * groups) / columns).clamp(1, strips.max(1));
    // An odd number of lines, lest all points meet in the same lines of the cache.
    let pitch = (at_once * columns) | 1;
    let mut output = vec![0.0; g.channels_out * g.channels_in * TAPS];
    // For each panel of output channels, each group of input channels: the rows of taps.
    let mut parts: Vec<Vec<&mut [f32]>> = Vec::new();
    parts.resize_with(g.channels_out.div_ceil(PANEL) * groups_in, || Vec::with_capacity(PANEL));
    for (channel, kernels) in output.chunks_exact_mut(g.channels_in * TAPS).enumerate() {
        for (group, part) in kernels.chunks_mut(GROUP * TAPS).enumerate() {
            parts[channel / PANEL * groups_in + group].push(part);
        }
    }
    with_scratch(groups * POINTS * pitch, |points| {
        for first in (0..strips).step_by(at_once) {
            let strips = first..strips.min(first + at_once);
            let tiles = strips.len() * columns;
            points.par_chunks_exact_mut(POINTS * pitch).enumerate().for_each(|(group, points)| {
                with_scratch(patch(columns), |patch| {
                    let strips = strips.clone();
                    Arch::new().dispatch(Gather { g, input, gradient, group, strips, points, pitch, patch });
                });
            });
            let (left, right) = points.split_at(groups_in * POINTS * pitch);
            parts.par_iter_mut().enumerate().for_each(|(index, part)| {
                let (panel, group) = (index / groups_in, index % groups_in);
                let left = &left[group * POINTS * pitch..][..POINTS * pitch];
                let right = &right[panel * 2 * POINTS * pitch..];
                with_scratch(POINTS * GROUP * 2, |products| {
                    Arch::new().dispatch(Contribution { left, right, tiles, pitch, products, part });
                });
            });
        }
    });
    output
}

/// One group of channels of the input, or behind those of the gradient, at the points: `[point][tile]`.
struct Gather<'a> {
    g: &'a Geometry,
    input: &'a [f32],
    gradient: &'a [f32],
    group: usize,
    /// Rows of tiles, counted over the batch.
    strips: Range<usize>,
    points: &'a mut [Group],
    pitch: usize,
    patch: &'a mut [Group],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { g, input, gradient, group, strips, points, pitch, patch } = self;
        let [rows, columns] = grid(g.output);
        let of_gradient = group.checked_sub(g.channels_in.div_ceil(GROUP));
        for (index, strip) in strips.enumerate() {
            let (item, row) = (strip / rows, strip % rows);
            let points = Points { values: &mut points[index * columns..], pitch };
            if let Some(group) = of_gradient {
                let planes = planes(gradient, item, g.channels_out, group, g.output);
                let strip = Strip { top: (row * OUT).cast_signed(), left: 0, tiles: columns };
                tiles::of_gradient(simd, planes, strip, patch, points);
            } else {
                let planes = planes(input, item, g.channels_in, group, g.input);
                tiles::of_input(simd, planes, seen(g, row, 0, columns), patch, points);
            }
        }
    }
}

/// Adds to `part` what some tiles give for a panel of output channels and a group of input channels.
struct Contribution<'a, 'b> {
    left: &'a [Group],
    right: &'a [Group],
    tiles: usize,
    pitch: usize,
    /// `[point][input channel][group of output channels]`
    products: &'a mut [Group],
    part: &'a mut [&'b mut [f32]],
}

impl WithSimd for Contribution<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, right, tiles, pitch, products, part } = self;
        let groups = part.len().div_ceil(GROUP);
        for (point, products) in products.chunks_exact_mut(2 * GROUP).enumerate() {
            let left = &left[point * pitch..][..tiles];
            let first = &right[point * pitch..][..tiles];
            if groups == 2 {
                let second = &right[(POINTS + point) * pitch..][..tiles];
                over_tiles(simd, left, [first, second], products);
            } else {
                over_tiles(simd, left, [first], products);
            }
        }
        let channels = part[0].len() / TAPS;
        let mut points = [ZERO; POINTS];
        let mut taps = [ZERO; TAPS];
        for channel in 0..channels {
            for (group, part) in part.chunks_mut(GROUP).enumerate() {
                for point in 0..POINTS {
                    points[point] = products[(point * GROUP + channel) * 2 + group];
                }
                tiles::to_weight(simd, &points, &mut taps);
                for (lane, kernels) in part.iter_mut().enumerate() {
                    let kernel: &mut [f32; TAPS] = kernels[channel * TAPS..].first_chunk_mut().expect("nine taps");
                    for tap in 0..TAPS {
                        kernel[tap] += taps[tap].0[lane];
                    }
                }
            }
        }
    }
}
