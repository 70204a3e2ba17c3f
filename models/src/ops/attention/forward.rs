//! Attention by tiles of queries and blocks of keys with a running softmax (Dao et al., "`FlashAttention`", 2022). Queries
//! stand in the lanes, so that nothing is ever added up across a vector.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::few;
use super::lanes::{exp, groups_mut, multiply};
use super::panels::{PANEL, Scratch, of_channels, of_positions, turned, turned_back};
use super::scores::{BLOCK, Scores, TILE};
use super::shape::{Bias, Rows, Shape, Softmax, merge};

/// # Shapes
///
/// queries `[batch, query, channel]`, keys and values `[batch, key, channel]` → `[batch, query, channel]`, and the
/// softmax of every query `[batch, head, query]`
pub(super) fn forward(shape: &Shape, [query, key, value]: [&[f32]; 3], bias: Option<Bias>) -> (Vec<f32>, Vec<Softmax>) {
    let Shape { batch, queries, heads, width, .. } = *shape;
    let mut by_head = vec![0.0; batch * queries * shape.channels()];
    let mut softmax = vec![Softmax::default(); batch * heads * queries];
    let bias_of = |head: usize| bias.map(|bias| bias.matrix(bias.index(head / heads, head % heads)));
    let count = if queries <= few::MOST { few::together(shape) } else { 1 };
    let results = by_head.par_chunks_exact_mut(count * queries * width);
    let results = results.zip(softmax.par_chunks_exact_mut(count * queries)).enumerate();
    if queries <= few::MOST {
        results.for_each(|(index, (output, softmax))| {
            let first = index * count;
            let [query, key, value] = [query, key, value].map(|values| shape.rows_of(values, first, count));
            let bias = (first..first + count).map(bias_of).collect();
            Arch::new().dispatch(few::Heads { shape, query, key, value, bias, output, softmax });
        });
    } else {
        results.for_each(|(head, (output, softmax))| {
            let [query, key, value] = [query, key, value].map(|values| shape.rows(values, head));
            let mut value_panels = vec![0.0; width.next_multiple_of(PANEL) * shape.keys];
            of_channels(value, PANEL, shape.keys, &mut value_panels);
            let key_panels = of_positions(key);
            let tiles = output.par_chunks_mut(TILE * width).zip(softmax.par_chunks_mut(TILE)).enumerate();
            tiles.for_each_init(Scratch::default, |scratch, (tile, (output, softmax))| {
                let scores = Scores { shape, key: &key_panels, first_key: 0, bias: bias_of(head) };
                let start = tile * TILE;
                let tile = Tile { scores, start, query, value: &value_panels, output, softmax, scratch };
                Arch::new().dispatch(tile);
            });
        });
    }
    (if heads == 1 { by_head } else { merge(shape, queries, &[&by_head]) }, softmax)
}

/// Up to [`TILE`] queries of one head.
struct Tile<'a> {
    scores: Scores<'a>,
    /// The first query.
    start: usize,
    /// Those of the whole head.
    query: Rows<'a>,
    /// `[panel of channels, key, PANEL]`
    value: &'a [f32],
    output: &'a mut [f32],
    softmax: &'a mut [Softmax],
    scratch: &'a mut Scratch,
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Tile { scores, start, query, value, output, softmax, scratch } = self;
        let width = query.width;
        let mut first = 0;
        while first < softmax.len() {
            let left = softmax.len() - first;
            // Two vectors of queries where there are registers for their sums.
            let pair = S::REGISTER_COUNT >= 32 && left > S::F32_LANES;
            let count = left.min(if pair { 2 * S::F32_LANES } else { S::F32_LANES });
            let output = &mut output[first * width..][..count * width];
            let softmax = &mut softmax[first..][..count];
            let part = Part { scores: &scores, start: start + first, query: query.part(start + first, count), value };
            if pair {
                part.attend::<S, 2>(simd, output, softmax, scratch);
            } else {
                part.attend::<S, 1>(simd, output, softmax, scratch);
            }
            first += count;
        }
    }
}

/// As many queries as fill a group of vectors, or fewer.
struct Part<'a> {
    scores: &'a Scores<'a>,
    start: usize,
    query: Rows<'a>,
    value: &'a [f32],
}

impl Part<'_> {
    #[inline(always)]
    fn attend<S: Simd, const M: usize>(
        self,
        simd: S,
        output: &mut [f32],
        softmax: &mut [Softmax],
        scratch: &mut Scratch,
    ) {
        let lanes = M * S::F32_LANES;
        let Shape { keys, width, scale, .. } = *self.scores.shape;
        let sums_length = width.next_multiple_of(PANEL) * lanes;
        let [query, sums, block] = scratch.pieces([width * lanes, sums_length, BLOCK * lanes]);
        turned(self.query, lanes, scale, query);
        sums.fill(0.0);
        // Finite, so that a difference from it is never NaN.
        let mut highest = [simd.splat_f32s(f32::MIN); M];
        let mut total = [simd.splat_f32s(0.0); M];
        let end = self.scores.shape.visible(self.start + softmax.len() - 1);
        for first in (0..end).step_by(BLOCK) {
            let count = BLOCK.min(end - first);
            self.scores.compute::<S, M>(simd, query, self.start, softmax.len(), first..first + count, block);
            let scores = &mut groups_mut::<S, M>(block)[..count];
            let mut top = highest;
            for row in scores.iter() {
                for m in 0..M {
                    top[m] = simd.max_f32s(top[m], row[m]);
                }
            }
            let mut fading = top;
            for m in 0..M {
                fading[m] = exp(simd, simd.sub_f32s(highest[m], top[m]));
                total[m] = simd.mul_f32s(total[m], fading[m]);
            }
            highest = top;
            for row in scores.iter_mut() {
                for m in 0..M {
                    row[m] = exp(simd, simd.sub_f32s(row[m], top[m]));
                    total[m] = simd.add_f32s(total[m], row[m]);
                }
            }
            let sums = groups_mut::<S, M>(sums).as_chunks_mut().0;
            for (panel, sums) in self.value.chunks_exact(keys * PANEL).zip(sums) {
                let panel = &panel[first * PANEL..][..count * PANEL];
                multiply(simd, scores, panel, |m, sum| simd.mul_f32s(sum, fading[m]), sums);
            }
        }
        let mut inverses = [0.0; TILE];
        let highest = pulp::bytemuck::cast_slice::<_, f32>(&highest);
        let total = pulp::bytemuck::cast_slice::<_, f32>(&total);
        for (lane, softmax) in softmax.iter_mut().enumerate() {
            *softmax = Softmax::new(highest[lane], total[lane]);
            inverses[lane] = softmax.inverse;
        }
        turned_back(sums, lanes, &inverses, width, output);
    }
}
