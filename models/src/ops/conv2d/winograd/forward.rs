use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::product::{PANEL, Panel, over_channels};
use super::scratch::with_scratch;
use super::tiles::{self, GROUP, Group, Points, ZERO};
use super::{Geometry, Kernels, OUT, POINTS, grid, patch, planes, seen};

/// # Shapes
///
/// `[batch, in, height, width]`, `[out, in, 3, 3]`, `[out]` → `[batch, out, height, width]`
pub(in super::super) fn forward(g: &Geometry, input: &[f32], kernels: Kernels, bias: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; g.batch * g.channels_out * g.positions()];
    if output.is_empty() {
        return output;
    }
    let [rows, columns] = grid(g.output);
    // What all tasks share is the smaller of inputs and weights. The results are the same.
    if g.batch * rows * columns <= g.channels_out {
        by_panels(g, input, kernels, bias, &mut output);
    } else {
        by_tiles(g, input, kernels, bias, &mut output);
    }
    output
}

/// Input channels in whole groups.
fn depth(g: &Geometry) -> usize {
    g.channels_in.next_multiple_of(GROUP)
}

/// The part of a panel's channels in one row of tiles.
type Part<'a> = Vec<&'a mut [f32]>;

/// `output` cut into parts, each where `index` says for its row of tiles, counted over the batch, and its panel.
fn parts<'a>(g: &Geometry, output: &'a mut [f32], index: impl Fn(usize, usize) -> usize) -> Vec<Part<'a>> {
    let [rows, _] = grid(g.output);
    let mut parts: Vec<Part> = Vec::new();
    parts.resize_with(g.batch * rows * g.channels_out.div_ceil(PANEL), || Vec::with_capacity(PANEL));
    for (item, values) in output.chunks_exact_mut(g.channels_out * g.positions()).enumerate() {
        for (channel, plane) in values.chunks_exact_mut(g.positions()).enumerate() {
            for (row, part) in plane.chunks_mut(OUT * g.output[1]).enumerate() {
                parts[index(item * rows + row, channel / PANEL)].push(part);
            }
        }
    }
    parts
}

/// Every task takes some rows of tiles through all channels; the weights are prepared before.
fn by_tiles(g: &Geometry, input: &[f32], kernels: Kernels, bias: &[f32], output: &mut [f32]) {
    /// What a task holds of its inputs should leave room in a core's second-level cache.
    const CACHED: usize = 512 * 1024;
    /// Few tiles would wait for the weights.
    const LEAST: usize = 24;
    let [rows, columns] = grid(g.output);
    let (strips, panels, depth) = (g.batch * rows, g.channels_out.div_ceil(PANEL), depth(g));
    let most = (CACHED / (POINTS * depth * size_of::<f32>()) / 12 * 12).clamp(LEAST, 96);
    let wide = columns.min(most);
    // As evenly spread over the threads as may be.
    let tasks = strips.div_ceil((most / columns).max(1)).next_multiple_of(rayon::current_num_threads());
    let high = strips.div_ceil(tasks);
    with_scratch(2 * panels * POINTS * depth, |weights| {
        weights.par_chunks_exact_mut(2 * POINTS * depth).enumerate().for_each(|(panel, weights)| {
            Arch::new().dispatch(Prepare { g, kernels, panel, weights: weights.as_chunks_mut().0 });
        });
        let (weights, _) = weights.as_chunks();
        parts(g, output, |strip, panel| strip * panels + panel).par_chunks_mut(high * panels).enumerate().for_each(
            |(task, parts)| {
                let tiles = wide * high;
                let pitch = pitch(tiles * depth / GROUP);
                with_scratch(POINTS * (pitch + 2 * tiles) + patch(wide), |scratch| {
                    let (points, scratch) = scratch.split_at_mut(POINTS * pitch);
                    let (products, patch) = scratch.split_at_mut(2 * POINTS * tiles);
                    let products = products.as_chunks_mut().0;
                    let first = task * high;
                    let work = ByTiles { g, input, weights, bias, first, wide, pitch, points, products, patch, parts };
                    Arch::new().dispatch(work);
                });
            },
        );
    });
}

/// An odd number of lines from one point to the next, lest all points meet in the same lines of the cache.
fn pitch(lines: usize) -> usize {
    lines | 1
}

/// One panel of weights at the points: `[point][input channel]`.
struct Prepare<'a> {
    g: &'a Geometry,
    kernels: Kernels<'a>,
    panel: usize,
    weights: &'a mut [Panel],
}

impl WithSimd for Prepare<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { g, kernels, panel, weights } = self;
        let [out_stride, in_stride] = kernels.strides;
        let (first, depth) = (panel * PANEL, depth(g));
        let mut taps = [[ZERO; 9]; 2];
        let mut found = [ZERO; POINTS];
        for channel_in in 0..depth {
            if channel_in < g.channels_in {
                for lane in 0..PANEL.min(g.channels_out - first) {
                    let start = (first + lane) * out_stride + channel_in * in_stride;
                    let kernel: &[f32; 9] = kernels.values[start..].first_chunk().expect("nine taps");
                    for tap in 0..9 {
                        let seen = kernel[if kernels.turned { 8 - tap } else { tap }];
                        taps[lane / GROUP][tap].0[lane % GROUP] = seen;
                    }
                }
            } else {
                taps = [[ZERO; 9]; 2];
            }
            for half in 0..2 {
                tiles::of_weight(simd, &taps[half], &mut found);
                for point in 0..POINTS {
                    weights[point * depth + channel_in][half] = found[point];
                }
            }
        }
    }
}

struct ByTiles<'a, 'b> {
    g: &'a Geometry,
    input: &'a [f32],
    weights: &'a [Panel],
    bias: &'a [f32],
    /// The first row of tiles, counted over the batch.
    first: usize,
    /// Tiles side by side that are computed together.
    wide: usize,
    pitch: usize,
    /// Inputs at the points: `[point][group][tile]`.
    points: &'a mut [Group],
    /// Of one panel: `[point][tile]`.
    products: &'a mut [Panel],
    patch: &'a mut [Group],
    /// For every row of tiles, every panel.
    parts: &'a mut [Part<'b>],
}

impl WithSimd for ByTiles<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { g, input, weights, bias, first, wide, pitch, points, products, patch, parts } = self;
        let [rows, columns] = grid(g.output);
        let (depth, groups) = (depth(g), g.channels_in.div_ceil(GROUP));
        let panels = g.channels_out.div_ceil(PANEL);
        let strips = parts.len() / panels;
        for column in (0..columns).step_by(wide) {
            let count = wide.min(columns - column);
            let tiles = count * strips;
            for strip in 0..strips {
                let (item, row) = ((first + strip) / rows, (first + strip) % rows);
                for group in 0..groups {
                    let planes = planes(input, item, g.channels_in, group, g.input);
                    let values = &mut points[group * tiles + strip * count..];
                    tiles::of_input(simd, planes, seen(g, row, column, count), patch, Points { values, pitch });
                }
            }
            for (panel, weights) in weights.chunks_exact(POINTS * depth).enumerate() {
                for (point, weights) in weights.chunks_exact(depth).enumerate() {
                    let left = &points[point * pitch..][..groups * tiles];
                    over_channels(simd, left, tiles, weights, &mut products[point * tiles..][..tiles]);
                }
                for strip in 0..strips {
                    let part = &mut parts[strip * panels + panel];
                    let products = &products[strip * count..];
                    write(simd, products, tiles, [column, count], &bias[panel * PANEL..], patch, part, g.output[1]);
                }
            }
        }
    }
}

/// Carries the products of `count` tiles from the `column`th on back, into `part` of lines of `width` values.
#[inline(always)]
#[expect(clippy::too_many_arguments)]
fn write<S: Simd>(
    simd: S,
    products: &[Panel],
    pitch: usize,
    [column, count]: [usize; 2],
    bias: &[f32],
    patch: &mut [Group],
    part: &mut [&mut [f32]],
    width: usize,
) {
    let columns = column * OUT..width.min((column + count) * OUT);
    for (half, part) in part.chunks_mut(GROUP).enumerate() {
        tiles::to_output(simd, products, half, pitch, count, patch);
        let bias = &bias[half * GROUP..];
        for (quad, part) in part.chunks_mut(4).enumerate() {
            let lane = quad * 4;
            for row in 0..part[0].len() / width {
                let patch = &patch[row * OUT * count..][..OUT * count];
                let line = row * width + columns.start..row * width + columns.end;
                if let [a, b, c, d] = &mut *part {
                    let lines = [&mut a[line.clone()], &mut b[line.clone()], &mut c[line.clone()], &mut d[line]];
                    let bias = [bias[lane], bias[lane + 1], bias[lane + 2], bias[lane + 3]];
                    tiles::deinterleave(patch, lane, lines, bias);
                } else {
                    for (offset, part) in part.iter_mut().enumerate() {
                        for (value, group) in part[line.clone()].iter_mut().zip(patch) {
                            *value = group.0[lane + offset] + bias[lane + offset];
                        }
                    }
                }
            }
        }
    }
}

/// Every task takes one panel through all tiles; the inputs are carried to the points before.
fn by_panels(g: &Geometry, input: &[f32], kernels: Kernels, bias: &[f32], output: &mut [f32]) {
    let [rows, columns] = grid(g.output);
    let (groups, depth, strips) = (g.channels_in.div_ceil(GROUP), depth(g), g.batch * rows);
    let tiles = strips * columns;
    let pitch = pitch(tiles);
    with_scratch(groups * POINTS * pitch, |points| {
        points.par_chunks_exact_mut(POINTS * pitch).enumerate().for_each(|(group, points)| {
            with_scratch(patch(columns), |patch| {
                Arch::new().dispatch(Gather { g, input, group, points, pitch, patch });
            });
        });
        let points = &*points;
        parts(g, output, |strip, panel| panel * strips + strip).par_chunks_exact_mut(strips).enumerate().for_each(
            |(panel, parts)| {
                with_scratch(2 * POINTS * (depth + tiles) + patch(columns), |scratch| {
                    let (weights, scratch) = scratch.split_at_mut(2 * POINTS * depth);
                    let (products, patch) = scratch.split_at_mut(2 * POINTS * tiles);
                    let (weights, products) = (weights.as_chunks_mut().0, products.as_chunks_mut().0);
                    Arch::new().dispatch(Prepare { g, kernels, panel, weights });
                    let bias = &bias[panel * PANEL..];
                    Arch::new().dispatch(ByPanels { g, points, pitch, weights, bias, products, patch, parts });
                });
            },
        );
    });
}

/// One group of input channels at the points: `[point][tile]`.
struct Gather<'a> {
    g: &'a Geometry,
    input: &'a [f32],
    group: usize,
    points: &'a mut [Group],
    pitch: usize,
    patch: &'a mut [Group],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { g, input, group, points, pitch, patch } = self;
        let [rows, columns] = grid(g.output);
        for strip in 0..g.batch * rows {
            let planes = planes(input, strip / rows, g.channels_in, group, g.input);
            let values = &mut points[strip * columns..];
            tiles::of_input(simd, planes, seen(g, strip % rows, 0, columns), patch, Points { values, pitch });
        }
    }
}

struct ByPanels<'a, 'b> {
    g: &'a Geometry,
    /// Inputs at the points: `[group][point][tile]`.
    points: &'a [Group],
    pitch: usize,
    weights: &'a [Panel],
    bias: &'a [f32],
    products: &'a mut [Panel],
    patch: &'a mut [Group],
    /// For every row of tiles, this panel.
    parts: &'a mut [Part<'b>],
}

impl WithSimd for ByPanels<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { g, points, pitch, weights, bias, products, patch, parts } = self;
        let [_, columns] = grid(g.output);
        let (depth, tiles) = (depth(g), parts.len() * columns);
        for (point, weights) in weights.chunks_exact(depth).enumerate() {
            let left = &points[point * pitch..];
            over_channels(simd, left, POINTS * pitch, weights, &mut products[point * tiles..][..tiles]);
        }
        for (strip, part) in parts.iter_mut().enumerate() {
            let products = &products[strip * columns..];
            write(simd, products, tiles, [0, columns], bias, patch, part, g.output[1]);
        }
    }
}
