//! On slices: each thread has some of the units, and with them their rows of the weights, which are read once a step for all
//! items of the batch.
//!
//! What is added up for one gate has an order that depends on the number of units alone, and on the width of the processor's
//! vectors.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::ops::simd::{sigmoid, tanh};

/// Gates of a unit.
const GATES: usize = 4;

/// Fewer weights than this are the work of one thread: waking another takes longer.
const WORTH_SHARING: usize = 1 << 16;

pub(super) struct Recurrence<'a> {
    /// `[gate · unit, unit]`
    pub weight: &'a [f32],
    pub batch: usize,
    pub units: usize,
}

/// Some units, and what they remember of every item.
struct Block {
    /// The first of them.
    first: usize,
    units: usize,
    /// `[item, unit]`
    cells: Vec<f32>,
    /// `[item, unit]`
    outputs: Vec<f32>,
    /// `[item, gate, unit]`
    sums: Vec<f32>,
}

impl Recurrence<'_> {
    /// # Shapes
    ///
    /// `[step, item, gate · unit]`, states `[item, unit]` → outputs `[step, item, unit]`, cells `[item, unit]`
    pub fn run(&self, gates: &[f32], hidden: &[f32], cells: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (units, of_step) = (self.units, self.batch * self.units);
        let mut blocks = self.blocks(cells);
        let mut outputs: Vec<f32> = Vec::with_capacity(gates.len() / GATES);
        for gates in gates.chunks_exact((GATES * of_step).max(1)) {
            let before = match outputs.len() {
                0 => hidden,
                written => &outputs[written - of_step..],
            };
            let work = |block: &mut Block| {
                pulp::Arch::new().dispatch(Step { weight: self.weight, gates, before, all: units, block });
            };
            if self.weight.len() < WORTH_SHARING {
                blocks.iter_mut().for_each(work);
            } else {
                blocks.par_iter_mut().with_max_len(1).for_each(work);
            }
            for item in 0..self.batch {
                for block in &blocks {
                    outputs.extend_from_slice(&block.outputs[item * block.units..][..block.units]);
                }
            }
        }
        let mut last = Vec::with_capacity(of_step);
        for item in 0..self.batch {
            for block in &blocks {
                last.extend_from_slice(&block.cells[item * block.units..][..block.units]);
            }
        }
        (outputs, last)
    }

    fn blocks(&self, cells: &[f32]) -> Vec<Block> {
        let units = self.units.div_ceil(rayon::current_num_threads()).next_multiple_of(16);
        (0..self.units)
            .step_by(units)
            .map(|first| {
                let units = units.min(self.units - first);
                let of_block = cells.chunks_exact(self.units).flat_map(|item| &item[first..first + units]);
                Block {
                    first,
                    units,
                    cells: of_block.copied().collect(),
                    outputs: vec![0.0; self.batch * units],
                    sums: vec![0.0; self.batch * GATES * units],
                }
            })
            .collect()
    }
}

/// One step of a block.
struct Step<'a> {
    weight: &'a [f32],
    /// `[item, gate · unit]`
    gates: &'a [f32],
    /// The outputs of the step before, `[item, unit]`.
    before: &'a [f32],
    /// How many units there are.
    all: usize,
    block: &'a mut Block,
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weight, gates, before, all, block } = self;
        let Block { first, units, cells, outputs, sums } = block;
        let (first, units) = (*first, *units);
        for unit in 0..units {
            let mut rows: [&[f32]; GATES] = [&[]; GATES];
            for (gate, row) in rows.iter_mut().enumerate() {
                *row = &weight[(gate * all + first + unit) * all..][..all];
            }
            let items = before.chunks(4 * all).zip(sums.chunks_mut(4 * GATES * units));
            for (items, sums) in items {
                let sums = &mut sums[unit..];
                match items.len() / all {
                    4 => dots::<S, 4>(simd, rows, items, sums, units),
                    3 => dots::<S, 3>(simd, rows, items, sums, units),
                    2 => dots::<S, 2>(simd, rows, items, sums, units),
                    _ => dots::<S, 1>(simd, rows, items, sums, units),
                }
            }
        }
        let items = sums.chunks_exact(GATES * units).zip(gates.chunks_exact(GATES * all));
        let states = cells.chunks_exact_mut(units).zip(outputs.chunks_exact_mut(units));
        for ((sums, gates), (cells, outputs)) in items.zip(states) {
            let gate = |gate: usize| (&sums[gate * units..][..units], &gates[gate * all + first..][..units]);
            let ((i, i_in), (f, f_in), (g, g_in), (o, o_in)) = (gate(0), gate(1), gate(2), gate(3));
            for unit in 0..units {
                let input = sigmoid(i[unit] + i_in[unit]) * tanh(g[unit] + g_in[unit]);
                cells[unit] = sigmoid(f[unit] + f_in[unit]).mul_add(cells[unit], input);
                outputs[unit] = sigmoid(o[unit] + o_in[unit]) * tanh(cells[unit]);
            }
        }
    }
}

/// The products of a unit's rows with `N` items; those of the next gate are `pitch` further.
#[inline(always)]
fn dots<S: Simd, const N: usize>(simd: S, rows: [&[f32]; GATES], items: &[f32], sums: &mut [f32], pitch: usize) {
    let width = rows[0].len();
    let mut row_heads: [&[S::f32s]; GATES] = [&[]; GATES];
    let mut row_tails: [&[f32]; GATES] = [&[]; GATES];
    for gate in 0..GATES {
        (row_heads[gate], row_tails[gate]) = S::as_simd_f32s(rows[gate]);
    }
    let mut heads: [&[S::f32s]; N] = [&[]; N];
    let mut tails: [&[f32]; N] = [&[]; N];
    for item in 0..N {
        (heads[item], tails[item]) = S::as_simd_f32s(&items[item * width..][..width]);
    }
    let count = row_heads[0].len();
    let row_heads = row_heads.map(|row| &row[..count]);
    let heads = heads.map(|item| &item[..count]);
    let mut lanes = [[simd.splat_f32s(0.0); GATES]; N];
    for place in 0..count {
        for item in 0..N {
            let value = heads[item][place];
            for gate in 0..GATES {
                lanes[item][gate] = simd.mul_add_f32s(row_heads[gate][place], value, lanes[item][gate]);
            }
        }
    }
    for item in 0..N {
        for gate in 0..GATES {
            let mut sum = simd.reduce_sum_f32s(lanes[item][gate]);
            for (weight, value) in row_tails[gate].iter().zip(tails[item]) {
                sum = weight.mul_add(*value, sum);
            }
            sums[(item * GATES + gate) * pitch] = sum;
        }
    }
}
