use pulp::{Simd, WithSimd, bytemuck};

use super::filter::Filter;
use super::transform::{OUT, POINTS, of_input, to_output};
use crate::ops::conv1d::interleave::interleave;
use crate::ops::conv1d::strip::{Terms, VECTORS, correlate, load};
use crate::ops::conv1d::tile::{WIDEST, take};
use crate::ops::fresh::Fresh;

/// Sizes of what a task works on. Output sample 4 · d · i + d · j + r of a stretch is output j of column i · d + r, where d is
/// the dilation; input samples lie in columns likewise.
pub(super) struct Plan {
    dilation: usize,
    /// Of four taps, with zeros behind the last tap.
    pub pieces: usize,
    channels: usize,
    /// Output channels that are summed together.
    pub rows: usize,
    /// Columns of a whole stretch.
    pub columns: usize,
    /// The same in whole vectors.
    padded: usize,
    /// Values of one input channel at one point: an odd number of cache lines, lest all channels meet in the same sets.
    pitch: usize,
}

/// Some output channels, from `row` on, of a stretch of one item.
pub(super) struct Task<'a> {
    pub item: usize,
    pub row: usize,
    /// The first output sample.
    pub start: usize,
    pub outputs: Vec<Fresh<'a>>,
}

pub(super) struct Scratch {
    /// Samples of one channel.
    line: Vec<f32>,
    /// The same, one output or input of every tile after another.
    phases: Vec<f32>,
    /// `[point, channel, column]`
    tile: Vec<f32>,
    /// `[point, row, column]`
    sums: Vec<f32>,
}

impl Plan {
    pub fn new(dilation: usize, pieces: usize, channels: usize, rows: usize) -> Self {
        const COLUMNS: usize = VECTORS * WIDEST;
        let columns = (COLUMNS / dilation).max(1) * dilation;
        let padded = columns.next_multiple_of(WIDEST);
        let lines = (padded + (pieces - 1) * dilation).div_ceil(WIDEST);
        Self { dilation, pieces, channels, rows, columns, padded, pitch: (lines | 1) * WIDEST }
    }

    /// Columns of input that are read.
    fn seen(&self) -> usize {
        self.columns + self.pieces * self.dilation
    }

    /// Values of one phase, whole vectors for every column of the tile.
    fn phase_pitch(&self) -> usize {
        self.pitch + self.dilation
    }

    pub fn scratch(&self) -> Scratch {
        Scratch {
            line: vec![0.0; OUT * self.seen()],
            phases: vec![0.0; OUT * self.phase_pitch()],
            tile: vec![0.0; POINTS * self.channels * self.pitch],
            sums: vec![0.0; POINTS * self.rows * self.padded],
        }
    }
}

pub(super) struct Work<'a, 'b> {
    pub filter: &'a Filter,
    pub plan: &'a Plan,
    /// One item.
    pub input: &'a [f32],
    pub weights: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub task: Task<'b>,
    pub scratch: &'a mut Scratch,
}

impl WithSimd for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.plan.rows {
            4 => self.run::<S, 4>(simd),
            _ => self.run::<S, 8>(simd),
        }
    }
}

impl Work<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(mut self, simd: S) {
        self.carry_input(simd);
        let Self { plan, weights, bias, mut task, scratch, .. } = self;
        let block = POINTS * plan.channels * plan.pieces * ROWS;
        let weights = weights[task.row / ROWS * block..].chunks_exact(block);
        for (index, (outputs, weights)) in task.outputs.chunks_mut(ROWS).zip(weights).enumerate() {
            sum_block::<S, ROWS>(simd, plan, weights, outputs[0].room(), scratch);
            for (row, output) in outputs.iter_mut().enumerate() {
                let bias = bias.map_or(0.0, |bias| bias[task.row + index * ROWS + row]);
                give_row(simd, plan, row, bias, scratch, output);
            }
        }
    }

    /// Fills the tile with the values of all channels at all points.
    #[inline(always)]
    fn carry_input<S: Simd>(&mut self, simd: S) {
        let Self { filter, plan, input, task, scratch: Scratch { line, phases, tile, .. }, .. } = self;
        let first = task.start.cast_signed() + filter.ahead;
        let length = filter.input.length;
        let before = first.min(0).unsigned_abs().min(line.len());
        let from = first.max(0).cast_unsigned();
        let count = length.saturating_sub(from).min(line.len() - before);
        let pitch = plan.phase_pitch();
        for channel in 0..plan.channels {
            line[..before].fill(0.0);
            line[before + count..].fill(0.0);
            if count > 0 {
                line[before..][..count].copy_from_slice(&input[channel * length + from..][..count]);
            }
            for (phase, row) in phases.chunks_exact_mut(pitch).enumerate() {
                part(line, plan.dilation, phase, &mut row[..plan.seen()]);
            }
            for column in (0..plan.pitch).step_by(S::F32_LANES) {
                let mut z = [simd.splat_f32s(0.0); POINTS];
                for (number, z) in z.iter_mut().enumerate() {
                    let place = number % OUT * pitch + number / OUT * plan.dilation + column;
                    [*z] = load::<S, 1>(simd, &phases[place..]);
                }
                for (point, values) in of_input(simd, z).into_iter().enumerate() {
                    let place = (point * plan.channels + channel) * plan.pitch + column;
                    tile[place..][..S::F32_LANES].copy_from_slice(bytemuck::cast_slice(&[values]));
                }
            }
        }
    }
}

/// The sums of one block of rows at every point.
#[inline(always)]
fn sum_block<S: Simd, const ROWS: usize>(simd: S, plan: &Plan, weights: &[f32], samples: usize, scratch: &mut Scratch) {
    let columns = (samples.div_ceil(OUT * plan.dilation) * plan.dilation).min(plan.columns);
    let tiles = scratch.tile.chunks_exact(plan.channels * plan.pitch);
    let weights = weights.chunks_exact(plan.channels * plan.pieces * ROWS);
    let sums = scratch.sums.chunks_exact_mut(ROWS * plan.padded);
    let places: Vec<usize> = (0..plan.pieces).map(|piece| piece * plan.dilation).collect();
    for ((tile, weights), sums) in tiles.zip(weights).zip(sums) {
        let terms = Terms { tile, pitch: plan.pitch, places: &places, weights };
        for at in (0..columns).step_by(VECTORS * S::F32_LANES) {
            match (columns - at).div_ceil(S::F32_LANES) {
                1 => sum_strip::<S, ROWS, 1>(simd, terms, at, sums),
                2 => sum_strip::<S, ROWS, 2>(simd, terms, at, sums),
                _ => sum_strip::<S, ROWS, VECTORS>(simd, terms, at, sums),
            }
        }
    }
}

#[inline(always)]
fn sum_strip<S: Simd, const ROWS: usize, const V: usize>(simd: S, terms: Terms, at: usize, sums: &mut [f32]) {
    let found = correlate::<S, ROWS, V>(simd, terms, at, &[0.0; ROWS]);
    let padded = sums.len() / ROWS;
    for (sums, found) in sums.chunks_exact_mut(padded).zip(&found) {
        let found: &[f32] = bytemuck::cast_slice(found);
        sums[at..][..found.len()].copy_from_slice(found);
    }
}

/// Carries the sums of one row back from the points, and writes its samples.
#[inline(always)]
fn give_row<S: Simd>(simd: S, plan: &Plan, row: usize, bias: f32, scratch: &mut Scratch, output: &mut Fresh) {
    let Scratch { line, phases, sums, .. } = scratch;
    let bias = simd.splat_f32s(bias);
    for column in (0..plan.padded).step_by(S::F32_LANES) {
        let mut m = [bias; POINTS];
        for (point, m) in m.iter_mut().enumerate() {
            [*m] = load::<S, 1>(simd, &sums[(point * plan.rows + row) * plan.padded + column..]);
        }
        for (phase, values) in to_output(simd, m, bias).into_iter().enumerate() {
            let place = phase * plan.padded + column;
            phases[place..][..S::F32_LANES].copy_from_slice(bytemuck::cast_slice(&[values]));
        }
    }
    let line = &mut line[..output.room()];
    join(&phases[..OUT * plan.padded], plan.padded, plan.dilation, line);
    output.append(line.iter().copied());
}

/// Takes every fourth run of `run` samples of `line`, from the one of that phase on.
#[inline(always)]
fn part(line: &[f32], run: usize, phase: usize, row: &mut [f32]) {
    if run == 1 {
        return take(&line[phase..], OUT, row);
    }
    for (target, source) in row.chunks_exact_mut(run).zip(line.chunks_exact(OUT * run)) {
        for (target, source) in target.iter_mut().zip(&source[phase * run..]) {
            *target = *source;
        }
    }
}

/// Puts runs of `run` values of four rows of `pitch` values in turns.
#[inline(always)]
fn join(phases: &[f32], pitch: usize, run: usize, line: &mut [f32]) {
    if run == 1 {
        return interleave(phases, pitch, 0, line);
    }
    for (index, target) in line.chunks_mut(run).enumerate() {
        let source = &phases[index % OUT * pitch + index / OUT * run..];
        for (target, source) in target.iter_mut().zip(source) {
            *target = *source;
        }
    }
}
