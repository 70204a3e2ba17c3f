//! The inner loops, in whole vectors of the processor: left to itself, the compiler shuffles them.
//!
//! What is added up for one value has an order that depends on the length of its sum alone, and for [`Dots`] on the width
//! of the processor's vectors.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::ops::fresh::Fresh;

/// Rows of the matrix that are added in one go.
const DEPTH: usize = 4;

/// Sums of a matrix's rows, weighted by the values of `rows`, for some columns of it.
pub(super) struct Combine<'a> {
    /// `[row, inner]`
    pub rows: &'a [f32],
    pub inner: usize,
    /// `[inner, pitch]`, from the first of the columns on.
    pub matrix: &'a [f32],
    pub pitch: usize,
    /// `[row, width]`: what is added to. In one piece, because rows of the output lie so far apart that they meet in the
    /// same lines of the cache.
    pub sums: &'a mut [f32],
    pub width: usize,
}

impl WithSimd for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let deep = self.inner - self.inner % DEPTH;
        for start in (0..deep).step_by(DEPTH) {
            self.add_rows::<S, DEPTH>(simd, start);
        }
        for start in deep..self.inner {
            self.add_rows::<S, 1>(simd, start);
        }
    }
}

impl Combine<'_> {
    /// Adds `D` rows of the matrix, from `start` on.
    #[inline(always)]
    fn add_rows<S: Simd, const D: usize>(&mut self, simd: S, start: usize) {
        let Self { inner, matrix, pitch, width, .. } = *self;
        let mut weights: [&[f32]; D] = [&[]; D];
        for (step, weights) in weights.iter_mut().enumerate() {
            *weights = &matrix[(start + step) * pitch..][..width];
        }
        for (rows, sums) in self.rows.chunks(4 * inner).zip(self.sums.chunks_mut(4 * width)) {
            match sums.len() / width {
                4 => add_to(simd, parts::<4>(sums, width), values(rows, inner, start), weights),
                3 => add_to(simd, parts::<3>(sums, width), values(rows, inner, start), weights),
                2 => add_to(simd, parts::<2>(sums, width), values(rows, inner, start), weights),
                _ => add_to(simd, parts::<1>(sums, width), values(rows, inner, start), weights),
            }
        }
    }
}

/// The first `N` rows of `width` values.
#[inline(always)]
fn parts<const N: usize>(sums: &mut [f32], width: usize) -> [&mut [f32]; N] {
    let mut rows = sums.chunks_exact_mut(width);
    std::array::from_fn(|_| rows.next().expect("N rows"))
}

#[inline(always)]
fn values<const N: usize, const D: usize>(rows: &[f32], inner: usize, start: usize) -> [[f32; D]; N] {
    let mut values = [[0.0; D]; N];
    for (row, values) in values.iter_mut().enumerate() {
        values.copy_from_slice(&rows[row * inner + start..][..D]);
    }
    values
}

/// Adds `weights`, times the values of each output, to `N` outputs.
#[inline(always)]
fn add_to<S: Simd, const N: usize, const D: usize>(
    simd: S,
    outputs: [&mut [f32]; N],
    values: [[f32; D]; N],
    weights: [&[f32]; D],
) {
    let mut factors = [[simd.splat_f32s(0.0); D]; N];
    for n in 0..N {
        for step in 0..D {
            factors[n][step] = simd.splat_f32s(values[n][step]);
        }
    }
    let outputs = outputs.map(|output| S::as_mut_simd_f32s(output));
    let weights = weights.map(|weights| S::as_simd_f32s(weights));
    for block in 0..weights[0].0.len() {
        let weights = weights.map(|weights| weights.0[block]);
        for n in 0..N {
            let mut sum = outputs[n].0[block];
            for step in 0..D {
                sum = simd.mul_add_f32s(factors[n][step], weights[step], sum);
            }
            outputs[n].0[block] = sum;
        }
    }
    for n in 0..N {
        for (column, sum) in outputs[n].1.iter_mut().enumerate() {
            for step in 0..D {
                *sum = values[n][step].mul_add(weights[step].1[column], *sum);
            }
        }
    }
}

/// Products of every row with columns of a matrix that lies column after column.
pub(super) struct Dots<'a> {
    /// `[row, inner]`
    pub rows: &'a [f32],
    pub inner: usize,
    /// `[column, inner]`
    pub columns: &'a [f32],
    /// `[row, column]`: what is added to.
    pub sums: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        /// Columns that stay in the second-level cache while all rows pass.
        const COLUMNS: usize = 16;
        let Self { rows, inner, columns, sums } = self;
        let width = columns.len() / inner;
        for (block, columns) in columns.chunks(COLUMNS * inner).enumerate() {
            for (rows, sums) in rows.chunks(4 * inner).zip(sums.chunks_mut(4 * width)) {
                for (column, weights) in (block * COLUMNS..).zip(columns.chunks_exact(inner)) {
                    let sums = &mut sums[column..];
                    match rows.len() / inner {
                        4 => add_dots::<S, 4>(simd, rows, weights, sums, width),
                        3 => add_dots::<S, 3>(simd, rows, weights, sums, width),
                        2 => add_dots::<S, 2>(simd, rows, weights, sums, width),
                        _ => add_dots::<S, 1>(simd, rows, weights, sums, width),
                    }
                }
            }
        }
    }
}

/// Adds the products of `weights` with each of `N` rows to every `pitch`-th of `sums`.
#[inline(always)]
fn add_dots<S: Simd, const N: usize>(simd: S, rows: &[f32], weights: &[f32], sums: &mut [f32], pitch: usize) {
    let inner = weights.len();
    let (weights, weights_rest) = S::as_simd_f32s(weights);
    let mut heads: [&[S::f32s]; N] = [&[]; N];
    let mut tails: [&[f32]; N] = [&[]; N];
    for n in 0..N {
        (heads[n], tails[n]) = S::as_simd_f32s(&rows[n * inner..][..inner]);
    }
    // Two sums for each, because an addition takes longer than a load.
    let mut even = [simd.splat_f32s(0.0); N];
    let mut odd = even;
    let (pairs, last) = weights.as_chunks::<2>();
    for (pair, weights) in pairs.iter().enumerate() {
        for n in 0..N {
            even[n] = simd.mul_add_f32s(heads[n][2 * pair], weights[0], even[n]);
            odd[n] = simd.mul_add_f32s(heads[n][2 * pair + 1], weights[1], odd[n]);
        }
    }
    for n in 0..N {
        if let [weights] = last {
            even[n] = simd.mul_add_f32s(heads[n][2 * pairs.len()], *weights, even[n]);
        }
        let mut sum = simd.reduce_sum_f32s(simd.add_f32s(even[n], odd[n]));
        for (value, weight) in tails[n].iter().zip(weights_rest) {
            sum = value.mul_add(*weight, sum);
        }
        sums[n * pitch] += sum;
    }
}

/// Lines of the sum over rows of their outer products.
pub(super) struct OuterProducts<'a, 'b> {
    /// `[row, inner]`
    pub left: &'a [f32],
    pub inner: usize,
    /// `[row, outer]`
    pub right: &'a [f32],
    pub outer: usize,
    /// Of `0..inner`.
    pub lines: Range<usize>,
    pub place: &'a mut Fresh<'b>,
}

impl WithSimd for OuterProducts<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, inner, right, outer, lines, place } = self;
        let factor = |row: usize, line: usize| left[row * inner + line];
        for line in lines {
            let sums = place.append((0..outer).map(|_| 0.0));
            for (block, rows) in right.chunks(DEPTH * outer).enumerate() {
                let first = block * DEPTH;
                let row = |step: usize| &rows[step * outer..][..outer];
                if rows.len() == DEPTH * outer {
                    let weights: [&[f32]; DEPTH] = [row(0), row(1), row(2), row(3)];
                    let factors = [0, 1, 2, 3].map(|step| factor(first + step, line));
                    add_to(simd, [&mut *sums], [factors], weights);
                } else {
                    for step in 0..rows.len() / outer {
                        add_to(simd, [&mut *sums], [[factor(first + step, line)]], [row(step)]);
                    }
                }
            }
        }
    }
}
