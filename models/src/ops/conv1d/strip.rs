//! The inner loops: sums that stay in registers while signals and weights stream by.
//!
//! Arrays of vectors are filled by loops: the closures of `map` and `from_fn` are not always inlined, and compiled for the
//! oldest instruction set then.

use pulp::{Simd, bytemuck};

/// Vectors of neighbouring positions that are summed at once.
pub(super) const VECTORS: usize = 3;

/// As many of a row that is summed alone.
pub(super) const ALONE: usize = 8;

/// Rows that are summed at once: as many as leave registers for the vectors that stream by.
pub(super) const fn rows_at_once<S: Simd>() -> usize {
    if S::REGISTER_COUNT < 32 { 4 } else { 8 }
}

/// What one tap of one channel after another adds to sums.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// A row of `pitch` values for every channel.
    pub tile: &'a [f32],
    pub pitch: usize,
    /// Where each tap reads the first position in such a row.
    pub places: &'a [usize],
    /// For every tap of every channel one weight a row of the sums.
    pub weights: &'a [f32],
}

/// The sums of `terms` for `ROWS` rows at `V` vectors of positions from `at` on, from bias on, over channels and taps in
/// order.
#[inline(always)]
pub(super) fn correlate<S: Simd, const ROWS: usize, const V: usize>(
    simd: S,
    terms: Terms,
    at: usize,
    bias: &[f32; ROWS],
) -> [[S::f32s; V]; ROWS] {
    let mut totals = [[simd.splat_f32s(0.0); V]; ROWS];
    for (totals, bias) in totals.iter_mut().zip(bias) {
        *totals = [simd.splat_f32s(*bias); V];
    }
    let (weights, _) = terms.weights.as_chunks::<ROWS>();
    let taps = terms.places.len();
    for (channel, row) in terms.tile.chunks_exact(terms.pitch).enumerate() {
        for (weights, place) in weights[channel * taps..][..taps].iter().zip(terms.places) {
            let values: [_; V] = load(simd, &row[place + at..]);
            for (totals, weight) in totals.iter_mut().zip(weights) {
                let weight = simd.splat_f32s(*weight);
                for (total, value) in totals.iter_mut().zip(values) {
                    *total = simd.mul_add_e_f32s(weight, value, *total);
                }
            }
        }
    }
    totals
}

#[inline(always)]
pub(super) fn load<S: Simd, const V: usize>(simd: S, values: &[f32]) -> [S::f32s; V] {
    let (source, _) = S::as_simd_f32s(&values[..V * S::F32_LANES]);
    let mut vectors = [simd.splat_f32s(0.0); V];
    vectors.copy_from_slice(source);
    vectors
}

/// Adds to `sums`, for each of `ROWS` rows, the products of its values with the `V` vectors at the same positions: the outer
/// products of `rows` and `vectors`, summed over positions in order.
///
/// # Shapes
///
/// `vectors` `[position, V vectors]`, `sums` `[row, V vectors]`
#[inline(always)]
pub(super) fn add_outer<S: Simd, const ROWS: usize, const V: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    vectors: &[f32],
    sums: &mut [f32],
) {
    let width = V * S::F32_LANES;
    let positions = vectors.len() / width;
    let rows = rows.map(|row| &row[..positions]);
    let mut totals = [[simd.splat_f32s(0.0); V]; ROWS];
    for (totals, sums) in totals.iter_mut().zip(sums.chunks_exact(width)) {
        *totals = load(simd, sums);
    }
    for (position, vectors) in vectors.chunks_exact(width).enumerate() {
        let vectors: [_; V] = load(simd, vectors);
        for (totals, row) in totals.iter_mut().zip(rows) {
            let value = simd.splat_f32s(row[position]);
            for (total, vector) in totals.iter_mut().zip(vectors) {
                *total = simd.mul_add_e_f32s(value, vector, *total);
            }
        }
    }
    for (sums, totals) in sums.chunks_exact_mut(width).zip(&totals) {
        sums.copy_from_slice(bytemuck::cast_slice(totals));
    }
}

/// The scalar products of `left`, whole vectors, with each of `ROWS` rows as long.
#[inline(always)]
pub(super) fn dot<S: Simd, const ROWS: usize>(simd: S, left: &[f32], rows: [&[f32]; ROWS]) -> [f32; ROWS] {
    let (left, _) = S::as_simd_f32s(left);
    let rows = rows.map(|row| &S::as_simd_f32s(row).0[..left.len()]);
    let mut totals = [simd.splat_f32s(0.0); ROWS];
    for (position, left) in left.iter().enumerate() {
        for (total, row) in totals.iter_mut().zip(rows) {
            *total = simd.mul_add_e_f32s(*left, row[position], *total);
        }
    }
    let mut sums = [0.0; ROWS];
    for (sum, total) in sums.iter_mut().zip(totals) {
        *sum = simd.reduce_sum_f32s(total);
    }
    sums
}
