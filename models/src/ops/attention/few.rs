//! Attention of so few queries that rearranging the keys would cost more than it saves, as when one position after
//! another is generated: keys and values are read where they lie, with channels in the lanes.

use pulp::{Simd, WithSimd};

use super::lanes::exp;
use super::shape::{Rows, Shape, Softmax};
use crate::ops::simd::maximum;

/// The most queries that are done this way.
pub(super) const MOST: usize = 4;

/// How many heads are done together: half a page of memory at a time, because a head alone is a small part of each row.
pub(super) fn together(shape: &Shape) -> usize {
    const CHANNELS: usize = 512;
    let most = CHANNELS.div_ceil(shape.width).min(shape.heads);
    (1..=most).rev().find(|count| shape.heads.is_multiple_of(*count)).unwrap_or(1)
}

/// Some heads of one item, side by side.
pub(super) struct Heads<'a> {
    pub shape: &'a Shape,
    /// Rows of all of these heads.
    pub query: Rows<'a>,
    pub key: Rows<'a>,
    pub value: Rows<'a>,
    /// `[query, key]`, one for each head.
    pub bias: Option<Vec<&'a [f32]>>,
    /// `[head, query, width]`, zeros.
    pub output: &'a mut [f32],
    /// `[head, query]`
    pub softmax: &'a mut [Softmax],
}

impl WithSimd for Heads<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Heads { shape, query, key, value, bias, output, softmax } = self;
        let Shape { queries, keys, width, .. } = *shape;
        // [head, query, key]
        let mut scores = vec![0.0; softmax.len() * keys];
        for at in 0..keys {
            for (head, key) in key.row(at).chunks_exact(width).enumerate() {
                for position in 0..queries {
                    let query = &query.row(position)[head * width..][..width];
                    scores[(head * queries + position) * keys + at] = dot(simd, query, key) * shape.scale;
                }
            }
        }
        for (index, (scores, softmax)) in scores.chunks_exact_mut(keys).zip(&mut *softmax).enumerate() {
            let (head, position) = (index / queries, index % queries);
            if let Some(bias) = &bias {
                let row = &bias[head][position * keys..][..keys];
                scores.iter_mut().zip(row).for_each(|(score, bias)| *score += bias);
            }
            scores[shape.visible(position)..].fill(f32::NEG_INFINITY);
            *softmax = normalise(simd, scores);
        }
        for at in 0..keys {
            for (head, value) in value.row(at).chunks_exact(width).enumerate() {
                for index in head * queries..(head + 1) * queries {
                    let weight = scores[index * keys + at] * softmax[index].inverse;
                    add(simd, weight, value, &mut output[index * width..][..width]);
                }
            }
        }
    }
}

/// Σ `left` · `right`
#[inline(always)]
fn dot<S: Simd>(simd: S, left: &[f32], right: &[f32]) -> f32 {
    let ((left, left_rest), (right, right_rest)) = (S::as_simd_f32s(left), S::as_simd_f32s(right));
    let mut sum = simd.mul_f32s(simd.partial_load_f32s(left_rest), simd.partial_load_f32s(right_rest));
    for (left, right) in left.iter().zip(right) {
        sum = simd.mul_add_e_f32s(*left, *right, sum);
    }
    simd.reduce_sum_f32s(sum)
}

/// `sum += weight · values`
#[inline(always)]
fn add<S: Simd>(simd: S, weight: f32, values: &[f32], sum: &mut [f32]) {
    let weight = simd.splat_f32s(weight);
    let ((values, values_rest), (sum, sum_rest)) = (S::as_simd_f32s(values), S::as_mut_simd_f32s(sum));
    for (value, sum) in values.iter().zip(sum) {
        *sum = simd.mul_add_e_f32s(weight, *value, *sum);
    }
    let (value, last) = (simd.partial_load_f32s(values_rest), simd.partial_load_f32s(sum_rest));
    simd.partial_store_f32s(sum_rest, simd.mul_add_e_f32s(weight, value, last));
}

/// Takes `scores` to exp(score − highest).
#[inline(always)]
fn normalise<S: Simd>(simd: S, scores: &mut [f32]) -> Softmax {
    // Finite, so that a difference from it is never NaN.
    let highest = maximum(scores).max(f32::MIN);
    let top = simd.splat_f32s(highest);
    let (vectors, rest) = S::as_mut_simd_f32s(scores);
    let mut total = simd.splat_f32s(0.0);
    for vector in vectors {
        *vector = exp(simd, simd.sub_f32s(*vector, top));
        total = simd.add_f32s(total, *vector);
    }
    let last = exp(simd, simd.sub_f32s(simd.partial_load_f32s(rest), top));
    simd.partial_store_f32s(rest, last);
    Softmax::new(highest, simd.reduce_sum_f32s(total) + rest.iter().sum::<f32>())
}
