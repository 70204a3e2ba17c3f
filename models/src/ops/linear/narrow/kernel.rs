//! Rows times packed weights. A lane is an output, and what is added up for it is added in the order of the inputs, so a
//! result depends neither on the width of the vectors, nor on the other rows, nor on the threads.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::Narrow;
use super::packed::{GROUP, Packed, TILE};

/// Fewer weights than this are the work of one thread: waking another takes longer.
const WORTH_SHARING: usize = 1 << 17;

/// Rows that go through a tile together: their sums stay in registers.
const ROWS: usize = 4;

/// # Shapes
///
/// `[row, inner]` → `[row, outer]`
pub(super) fn product(rows: &[f32], weights: &Packed) -> Vec<f32> {
    match weights.narrow {
        Narrow::Bf16 => product_of::<Brain>(rows, weights),
        Narrow::Int8 => product_of::<Whole<8>>(rows, weights),
        Narrow::Int4 => product_of::<Whole<4>>(rows, weights),
    }
}

fn product_of<F: Form>(rows: &[f32], weights: &Packed) -> Vec<f32> {
    let Packed { inner, outer, .. } = *weights;
    let (rows, count) = (prepared::<F>(rows, inner), rows.len() / inner);
    // For each tile its part of every row.
    let mut tiles = vec![0.0; outer.div_ceil(TILE) * count * TILE];
    let fill = |(sums, words): (&mut [f32], &[u32])| {
        pulp::Arch::new().dispatch(Tile::<F> { rows: &rows, words, sums, form: PhantomData });
    };
    let (of_tile, words) = (count * TILE, weights.words_of_tile());
    if inner * outer < WORTH_SHARING {
        tiles.chunks_exact_mut(of_tile).zip(weights.words.chunks_exact(words)).for_each(fill);
    } else {
        tiles.par_chunks_exact_mut(of_tile).zip(weights.words.par_chunks_exact(words)).for_each(fill);
    }
    if count == 1 {
        tiles.truncate(outer);
        return tiles;
    }
    let mut output = Vec::with_capacity(count * outer);
    for row in 0..count {
        let parts = tiles.chunks_exact(of_tile).map(|tile| &tile[row * TILE..][..TILE]);
        parts.for_each(|part| output.extend_from_slice(&part[..TILE.min((row + 1) * outer - output.len())]));
    }
    output
}

/// Rows in whole groups, each value with the factor that its weights lack.
fn prepared<F: Form>(rows: &[f32], inner: usize) -> Vec<f32> {
    let padded = inner.next_multiple_of(GROUP);
    let mut prepared = vec![0.0; rows.len() / inner * padded];
    for (row, prepared) in rows.chunks_exact(inner).zip(prepared.chunks_exact_mut(padded)) {
        for (index, (value, prepared)) in row.iter().zip(prepared).enumerate() {
            *prepared = value * F::factor(index % F::PER_WORD);
        }
    }
    prepared
}

/// How the weights of a word become numbers.
trait Form: Send + Sync {
    /// Weights in a word.
    const PER_WORD: usize;
    /// Lines of scales.
    const SCALES: usize;

    /// The weights at one of a word's places, for the lanes of a vector, but for a factor.
    fn weights<S: Simd>(simd: S, words: S::u32s, place: usize) -> S::f32s;

    /// The factor: a power of two.
    fn factor(place: usize) -> f32;
}

/// bfloat16.
struct Brain;

impl Form for Brain {
    const PER_WORD: usize = 2;
    const SCALES: usize = 0;

    #[inline(always)]
    fn weights<S: Simd>(simd: S, words: S::u32s, place: usize) -> S::f32s {
        let high = if place == 0 {
            simd.wrapping_dyn_shl_u32s(words, simd.splat_u32s(16))
        } else {
            simd.and_u32s(words, simd.splat_u32s(0xffff_0000))
        };
        simd.transmute_f32s_u32s(high)
    }

    fn factor(_: usize) -> f32 {
        1.0
    }
}

/// Whole numbers of so many bits, less than 16.
struct Whole<const BITS: usize>;

impl<const BITS: usize> Whole<BITS> {
    /// Where a place lies in its half of the word.
    const fn shift(place: usize) -> usize {
        place * BITS % 16
    }
}

impl<const BITS: usize> Form for Whole<BITS> {
    const PER_WORD: usize = 32 / BITS;
    const SCALES: usize = 1;

    /// A field within the mantissa of 2²³ adds as much as it is where it lies; taking 2²³ and the zero's field off again is
    /// exact.
    #[inline(always)]
    fn weights<S: Simd>(simd: S, words: S::u32s, place: usize) -> S::f32s {
        const MAGIC: f32 = 8_388_608.0;
        let half = if place * BITS < 16 { words } else { simd.wrapping_dyn_shr_u32s(words, simd.splat_u32s(16)) };
        let shift = Self::shift(place);
        let field = simd.and_u32s(half, simd.splat_u32s(((1 << BITS) - 1) << shift));
        let sum = simd.transmute_f32s_u32s(simd.or_u32s(field, simd.splat_u32s(MAGIC.to_bits())));
        simd.sub_f32s(sum, simd.splat_f32s(MAGIC + (1 << (BITS - 1 + shift)) as f32))
    }

    fn factor(place: usize) -> f32 {
        1.0 / (1 << Self::shift(place)) as f32
    }
}

/// The products of all rows with one tile.
struct Tile<'a, F> {
    /// `[row, padded inner]`
    rows: &'a [f32],
    words: &'a [u32],
    /// `[row, TILE]`
    sums: &'a mut [f32],
    form: PhantomData<F>,
}

impl<F: Form> WithSimd for Tile<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, words, sums, .. } = self;
        let padded = rows.len() / (sums.len() / TILE);
        for (rows, sums) in rows.chunks(ROWS * padded).zip(sums.chunks_mut(ROWS * TILE)) {
            match sums.len() / TILE {
                4 => fill::<S, F, 4>(simd, rows, words, sums),
                3 => fill::<S, F, 3>(simd, rows, words, sums),
                2 => fill::<S, F, 2>(simd, rows, words, sums),
                _ => fill::<S, F, 1>(simd, rows, words, sums),
            }
        }
    }
}

/// The products of `N` rows.
#[inline(always)]
fn fill<S: Simd, F: Form, const N: usize>(simd: S, rows: &[f32], words: &[u32], sums: &mut [f32]) {
    /// Vectors of outputs that go together: an addition takes longer than a load.
    const VECTORS: usize = 2;
    let padded = rows.len() / N;
    let mut groups: [&[[f32; GROUP]]; N] = [&[]; N];
    for n in 0..N {
        groups[n] = rows[n * padded..][..padded].as_chunks().0;
    }
    let (words, _) = S::as_simd_u32s(words);
    let pitch = TILE / S::F32_LANES;
    let lines = F::SCALES + GROUP / F::PER_WORD;
    let zero = simd.splat_f32s(0.0);
    for first in (0..pitch).step_by(VECTORS) {
        let mut totals = [[zero; VECTORS]; N];
        for (index, group) in words.chunks_exact(lines * pitch).enumerate() {
            let mut parts = [[zero; VECTORS]; N];
            let mut values: [&[f32; GROUP]; N] = [&[0.0; GROUP]; N];
            for n in 0..N {
                values[n] = &groups[n][index];
            }
            let (scales, group) = group.split_at(F::SCALES * pitch);
            for line in 0..GROUP / F::PER_WORD {
                let words: &[S::u32s; VECTORS] = group[line * pitch + first..].first_chunk().expect("two vectors");
                for place in 0..F::PER_WORD {
                    let mut weights = [zero; VECTORS];
                    for v in 0..VECTORS {
                        weights[v] = F::weights(simd, words[v], place);
                    }
                    for n in 0..N {
                        let value = simd.splat_f32s(values[n][line * F::PER_WORD + place]);
                        for v in 0..VECTORS {
                            parts[n][v] = simd.mul_add_f32s(value, weights[v], parts[n][v]);
                        }
                    }
                }
            }
            for n in 0..N {
                for v in 0..VECTORS {
                    totals[n][v] = if F::SCALES == 0 {
                        simd.add_f32s(parts[n][v], totals[n][v])
                    } else {
                        simd.mul_add_f32s(parts[n][v], simd.transmute_f32s_u32s(scales[first + v]), totals[n][v])
                    };
                }
            }
        }
        for n in 0..N {
            let (sums, _) = S::as_mut_simd_f32s(&mut sums[n * TILE..][..TILE]);
            sums[first..first + VECTORS].copy_from_slice(&totals[n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|index| (index * 7919 % 1009) as f32 / 37.0 - 13.0).collect()
    }

    fn tile<S: Simd, F: Form>(simd: S, rows: usize, weights: &Packed) -> Vec<f32> {
        let (rows, mut sums) = (prepared::<F>(&values(rows * weights.inner), weights.inner), vec![0.0; rows * TILE]);
        simd.vectorize(Tile::<F> { rows: &rows, words: &weights.words, sums: &mut sums, form: PhantomData });
        sums
    }

    fn compare<F: Form>(narrow: Narrow) {
        let weights = Packed::new(&values(TILE * 70), [TILE, 70], narrow);
        for rows in 1..6 {
            let scalar = tile::<_, F>(pulp::Scalar::new(), rows, &weights);
            assert_eq!(product(&values(rows * 70), &weights), scalar, "{narrow:?}");
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                assert_eq!(tile::<_, F>(simd, rows, &weights), scalar, "{narrow:?}");
            }
        }
    }

    #[test]
    fn results_are_the_same_on_every_instruction_set() {
        compare::<Brain>(Narrow::Bf16);
        compare::<Whole<8>>(Narrow::Int8);
        compare::<Whole<4>>(Narrow::Int4);
    }
}
