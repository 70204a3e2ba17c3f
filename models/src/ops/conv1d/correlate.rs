//! The sums of a convolution in either direction, without gathered columns: a tile of the input is copied with its phases
//! apart, and every tap reads whole vectors of it at its own distance.
//!
//! Every output value is added up alone, from the bias on, over channels and taps in order: it depends on nothing else.

use std::ops::Range;

use pulp::{Simd, WithSimd, bytemuck};
use rayon::prelude::*;

use super::geometry::{Geometry, Signal};
use super::interleave::interleave;
use super::share::share;
use super::strip::{ALONE, Terms, VECTORS, correlate, rows_at_once};
use super::tile::Layout;
use crate::ops::fresh::{Fresh, fresh};

/// As many tasks of an item keep several threads busy to the end.
pub(super) const ENOUGH: usize = 24;

/// # Shapes
///
/// fine signal, weights, bias `[coarse channel]` → coarse signal
pub(super) fn to_coarse(g: &Geometry, fine: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let [rows, depth] = [g.coarse.channels / g.groups, g.fine.channels / g.groups];
    let distance = |tap| tap * g.dilation;
    let layout = Layout::new(g.stride, g.padding, (0..g.taps).map(distance), depth, g.coarse.length, ENOUGH / g.groups);
    let places = (0..g.taps).map(|tap| layout.place(distance(tap))).collect();
    Correlation {
        batch: g.batch,
        input: g.fine,
        output: g.coarse,
        phases: vec![Phase { taps: (0..g.taps).collect(), places }],
        skipped: 0,
        rows,
        depth,
        weight_strides: [rows * depth * g.taps, depth * g.taps, g.taps],
        layout,
    }
    .run(fine, weight, bias)
}

/// # Shapes
///
/// coarse signal, weights, bias `[fine channel]` → fine signal
pub(super) fn to_fine(g: &Geometry, coarse: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let [rows, depth] = [g.fine.channels / g.groups, g.coarse.channels / g.groups];
    // Sample v · stride + phase of the padded fine signal hears tap number phase + i · stride of coarse sample v − i.
    let reach = (g.taps - 1) * g.dilation / g.stride;
    let distance = |tap: usize| reach - tap * g.dilation / g.stride;
    let positions = (g.fine.length + g.padding).div_ceil(g.stride) - g.padding / g.stride;
    let layout = Layout::new(1, reach, (0..g.taps).map(distance), depth, positions, ENOUGH / g.groups);
    let phase = |phase| {
        let taps: Vec<_> = (0..g.taps).filter(|tap| tap * g.dilation % g.stride == phase).collect();
        Phase { places: taps.iter().map(|tap| layout.place(distance(*tap))).collect(), taps }
    };
    Correlation {
        batch: g.batch,
        input: g.coarse,
        output: g.fine,
        phases: (0..g.stride).map(phase).collect(),
        skipped: g.padding,
        rows,
        depth,
        weight_strides: [rows * depth * g.taps, g.taps, rows * g.taps],
        layout,
    }
    .run(coarse, weight, bias)
}

struct Correlation {
    batch: usize,
    input: Signal,
    output: Signal,
    /// The output's samples belong to them in turns.
    phases: Vec<Phase>,
    /// So many samples stand before the output's first one.
    skipped: usize,
    /// Output channels of a group.
    rows: usize,
    /// Input channels of a group.
    depth: usize,
    /// Distances of weights of neighbouring groups, output channels and input channels.
    weight_strides: [usize; 3],
    layout: Layout,
}

/// Taps that make the same output samples, and where they read.
struct Phase {
    taps: Vec<usize>,
    places: Vec<usize>,
}

/// Output channels of one group that are summed together.
struct Block {
    group: usize,
    rows: Range<usize>,
}

/// Some blocks of one item, for the positions of one tile.
struct Task<'a> {
    item: usize,
    blocks: Range<usize>,
    start: usize,
    outputs: Vec<Fresh<'a>>,
}

struct Scratch {
    tile: Vec<f32>,
    sums: Vec<f32>,
    /// The phases of one row in turns.
    row: Vec<f32>,
}

impl Correlation {
    fn run(&self, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let length = self.batch * self.output.values();
        if length == 0 {
            return Vec::new();
        }
        let width = pulp::Arch::new().dispatch(RowsAtOnce).min(self.rows.next_power_of_two());
        let blocks = self.blocks(width);
        let weights = self.pack(&blocks, width, weight);
        let scratch = || Scratch {
            tile: vec![0.0; self.depth * self.layout.pitch()],
            sums: vec![0.0; width * self.phases.len() * self.layout.width],
            row: vec![0.0; self.phases.len() * self.layout.width],
        };
        let (output, ()) = fresh(length, |output| {
            share(self.tasks(&blocks, output), scratch, |scratch, task| {
                let work = Work { correlation: self, input, blocks: &blocks, weights: &weights, bias, task, scratch };
                pulp::Arch::new().dispatch(work);
            });
        });
        output
    }

    fn blocks(&self, width: usize) -> Vec<Block> {
        (0..self.output.channels / self.rows)
            .flat_map(|group| {
                let first = group * self.rows;
                let end = first + self.rows;
                (first..end).step_by(width).map(move |row| Block { group, rows: row..end.min(row + width) })
            })
            .collect()
    }

    /// The weights as the inner loop reads them: for each block, phase, input channel and tap those of all rows.
    fn pack(&self, blocks: &[Block], width: usize, weight: &[f32]) -> Vec<f32> {
        let [of_group, of_row, of_channel] = self.weight_strides;
        let taps: usize = self.phases.iter().map(|phase| phase.taps.len()).sum();
        let mut packed = vec![0.0; blocks.len() * width * self.depth * taps];
        packed.par_chunks_mut(width * self.depth * taps).zip(blocks).for_each(|(packed, block)| {
            let first = block.group * of_group + (block.rows.start - block.group * self.rows) * of_row;
            let mut places = packed.chunks_exact_mut(block.rows.len().next_power_of_two());
            for phase in &self.phases {
                for channel in 0..self.depth {
                    for tap in &phase.taps {
                        let place = places.next().expect("a place for every tap of every channel");
                        let weights = weight[first + channel * of_channel + tap..].iter().step_by(of_row);
                        for (place, weight) in place[..block.rows.len()].iter_mut().zip(weights) {
                            *place = *weight;
                        }
                    }
                }
            }
        });
        packed
    }

    /// Cuts the output into tiles of some blocks each.
    fn tasks<'a>(&self, blocks: &[Block], mut output: Fresh<'a>) -> Vec<Task<'a>> {
        /// Fewer output channels are not worth copying the input for.
        const ROWS: usize = 32;
        let Signal { channels, length } = self.output;
        let stride = self.phases.len();
        let starts = (self.skipped / stride..(length + self.skipped).div_ceil(stride)).step_by(self.layout.width);
        let parts = (ENOUGH / starts.len()).clamp(1, channels.div_ceil(ROWS));
        let blocks_at_once = blocks.len().div_ceil(parts);
        let mut tasks: Vec<Task> = Vec::new();
        for item in 0..self.batch {
            for first in (0..blocks.len()).step_by(blocks_at_once) {
                let some = first..blocks.len().min(first + blocks_at_once);
                let rows = blocks[some.end - 1].rows.end - blocks[first].rows.start;
                let here = tasks.len();
                tasks.extend(starts.clone().map(|start| Task {
                    item,
                    blocks: some.clone(),
                    start,
                    outputs: Vec::with_capacity(rows),
                }));
                for _ in 0..rows {
                    let mut begin = 0;
                    for task in &mut tasks[here..] {
                        let end = ((task.start + self.layout.width) * stride - self.skipped).min(length);
                        task.outputs.push(output.split_off(end - begin));
                        begin = end;
                    }
                }
            }
        }
        tasks
    }
}

/// How many rows this processor sums at once.
pub(super) struct RowsAtOnce;

impl WithSimd for RowsAtOnce {
    type Output = usize;

    fn with_simd<S: Simd>(self, _: S) -> usize {
        rows_at_once::<S>()
    }
}

struct Work<'a, 'b> {
    correlation: &'a Correlation,
    input: &'a [f32],
    blocks: &'a [Block],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    task: Task<'b>,
    scratch: &'a mut Scratch,
}

impl WithSimd for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { correlation: c, input, blocks, weights, bias, mut task, scratch } = self;
        let stride = c.phases.len();
        let packed = weights.len() / blocks.len();
        let first = (task.start * stride).saturating_sub(c.skipped);
        let skipped = first + c.skipped - task.start * stride;
        let positions = (skipped + task.outputs[0].room()).div_ceil(stride);
        let mut outputs = task.outputs.as_mut_slice();
        let mut copied = None;
        for index in task.blocks {
            let block = &blocks[index];
            if copied.replace(block.group) != Some(block.group) {
                let channels = &input[task.item * c.input.values() + block.group * c.depth * c.input.length..];
                c.layout.copy(channels, c.input.length, task.start, positions, &mut scratch.tile);
            }
            let weights = &weights[index * packed..][..packed];
            let bias = bias.map(|bias| &bias[block.rows.clone()]);
            let rows = outputs.split_off_mut(..block.rows.len()).expect("an output for every row");
            match block.rows.len() {
                1 => sum_block::<S, 1>(simd, c, weights, bias, positions, scratch, rows),
                2 => sum_block::<S, 2>(simd, c, weights, bias, positions, scratch, rows),
                3 | 4 => sum_block::<S, 4>(simd, c, weights, bias, positions, scratch, rows),
                _ => sum_block::<S, 8>(simd, c, weights, bias, positions, scratch, rows),
            }
            if stride > 1 {
                for (sums, output) in scratch.sums.chunks_exact(stride * c.layout.width).zip(rows) {
                    let row = &mut scratch.row[..output.room()];
                    interleave(sums, c.layout.width, skipped, row);
                    output.append(row.iter().copied());
                }
            }
        }
    }
}

/// The sums of one block at all positions of a tile: where the output has one phase, in `outputs`, otherwise in scratch, row
/// after row, for each row phase after phase.
#[inline(always)]
fn sum_block<S: Simd, const ROWS: usize>(
    simd: S,
    c: &Correlation,
    mut weights: &[f32],
    bias: Option<&[f32]>,
    positions: usize,
    scratch: &mut Scratch,
    outputs: &mut [Fresh],
) {
    let bias: [f32; ROWS] = std::array::from_fn(|row| bias.and_then(|bias| bias.get(row)).copied().unwrap_or(0.0));
    let (width, tile) = (c.layout.width, &scratch.tile);
    for (index, Phase { taps, places }) in c.phases.iter().enumerate() {
        let (now, later) = weights.split_at(ROWS * c.depth * taps.len());
        weights = later;
        let terms = Terms { tile, pitch: c.layout.pitch(), places, weights: now };
        let mut at = 0;
        while at < positions {
            let mut store = |row: usize, sums: &[f32]| {
                if c.phases.len() > 1 {
                    scratch.sums[(row * c.phases.len() + index) * width + at..][..sums.len()].copy_from_slice(sums);
                } else if let Some(output) = outputs.get_mut(row) {
                    // The usual length is known when this is compiled.
                    if output.room() >= sums.len() {
                        output.append(sums.iter().copied());
                    } else {
                        output.append(sums[..output.room()].iter().copied());
                    }
                }
            };
            let vectors = (positions - at).div_ceil(S::F32_LANES);
            at += S::F32_LANES
                * match vectors {
                    1 => sum_strip::<S, ROWS, 1>(simd, terms, at, &bias, &mut store),
                    2 => sum_strip::<S, ROWS, 2>(simd, terms, at, &bias, &mut store),
                    // One row alone has registers to spare, and additions that would wait for each other.
                    ALONE.. if ROWS == 1 => sum_strip::<S, ROWS, ALONE>(simd, terms, at, &bias, &mut store),
                    _ => sum_strip::<S, ROWS, VECTORS>(simd, terms, at, &bias, &mut store),
                };
        }
    }
}

/// Stores the sums of `V` vectors of positions from `at` on; gives `V`.
#[inline(always)]
fn sum_strip<S: Simd, const ROWS: usize, const V: usize>(
    simd: S,
    terms: Terms,
    at: usize,
    bias: &[f32; ROWS],
    store: &mut impl FnMut(usize, &[f32]),
) -> usize {
    for (row, sums) in correlate::<S, ROWS, V>(simd, terms, at, bias).iter().enumerate() {
        store(row, bytemuck::cast_slice(sums));
    }
    V
}
