//! The inner loops: sums that stay in registers while signals and weights stream by.

use pulp::{Simd, bytemuck};

/// Vectors of neighbouring positions that are summed at once.
pub(super) const VECTORS: usize = 3;

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

/// Sums `terms` for `ROWS` rows at `V` vectors of positions from `at` on, from bias on, over channels and taps in order.
///
/// Row r of the sums goes to `sums` from r · `pitch` on.
#[inline(always)]
pub(super) fn correlate<S: Simd, const ROWS: usize, const V: usize>(
    simd: S,
    terms: Terms,
    at: usize,
    bias: &[f32; ROWS],
    sums: &mut [f32],
    pitch: usize,
) {
    let mut totals = bias.map(|bias| [simd.splat_f32s(bias); V]);
    let (weights, _) = terms.weights.as_chunks::<ROWS>();
    let taps = terms.places.len();
    for (channel, row) in terms.tile.chunks_exact(terms.pitch).enumerate() {
        for (weights, place) in weights[channel * taps..][..taps].iter().zip(terms.places) {
            let values = load::<S, V>(&row[place + at..]);
            for (totals, weight) in totals.iter_mut().zip(weights) {
                let weight = simd.splat_f32s(*weight);
                for (total, value) in totals.iter_mut().zip(values) {
                    *total = simd.mul_add_e_f32s(weight, value, *total);
                }
            }
        }
    }
    for (row, totals) in totals.iter().enumerate() {
        sums[row * pitch..][..V * S::F32_LANES].copy_from_slice(bytemuck::cast_slice(totals));
    }
}

#[inline(always)]
fn load<S: Simd, const V: usize>(values: &[f32]) -> [S::f32s; V] {
    let (vectors, _) = S::as_simd_f32s(&values[..V * S::F32_LANES]);
    std::array::from_fn(|index| vectors[index])
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
    let mut totals: [[S::f32s; V]; ROWS] = std::array::from_fn(|row| load::<S, V>(&sums[row * width..]));
    for (position, vectors) in vectors.chunks_exact(width).enumerate() {
        let vectors = load::<S, V>(vectors);
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
    totals.map(|total| simd.reduce_sum_f32s(total))
}
