//! The gradients of attention by the same tiles: the probabilities are made again from the kept softmax (Dao et al.,
//! "`FlashAttention`", 2022, algorithm 4).

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::lanes::{exp, groups, groups_mut, multiply, multiply_columns};
use super::panels::{PANEL, Scratch, of_channels, of_positions, turned, turned_back};
use super::scores::{BLOCK, Scores, TILE};
use super::shape::{Rows, Shape, Softmax};
use crate::ops::simd::sum_of_pairs;

/// One head, and those of its keys that a task is about.
pub(super) struct Share<'a> {
    pub shape: &'a Shape,
    pub keys: Range<usize>,
    pub gradient: Rows<'a>,
    pub output: Rows<'a>,
    pub query: Rows<'a>,
    pub key: Rows<'a>,
    pub value: Rows<'a>,
    /// `[query, key]`
    pub bias: Option<&'a [f32]>,
    pub softmax: &'a [Softmax],
    /// `[query, width]`: what these keys give to the gradient of the queries.
    pub of_query: &'a mut [f32],
    /// `[key, width]`
    pub of_key: &'a mut [f32],
    /// `[key, width]`
    pub of_value: &'a mut [f32],
    /// `[query, key of this share]`, added to.
    pub of_bias: Option<&'a mut [f32]>,
    pub scratch: &'a mut Scratch,
}

impl WithSimd for Share<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 && self.shape.width > S::F32_LANES {
            self.run::<S, 2>(simd);
        } else {
            self.run::<S, 1>(simd);
        }
    }
}

impl Share<'_> {
    /// With the channels of the gradients of keys and values in groups of `C` vectors.
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) {
        let Self { shape, keys, of_query, of_key, of_value, scratch, .. } = self;
        let (width, size) = (shape.width, C * S::F32_LANES);
        let [key, value] = [self.key, self.value].map(|rows| rows.part(keys.start, keys.len()));
        let mut key_by_channel = vec![0.0; width.next_multiple_of(PANEL) * keys.len()];
        of_channels(key, PANEL, keys.len(), &mut key_by_channel);
        let (key, value) = (of_positions(key), of_positions(value));
        let padded = keys.len().next_multiple_of(PANEL);
        let mut sums = [(); 2].map(|()| vec![0.0; width.next_multiple_of(size) * padded]);
        let rows = [self.query, self.gradient, self.output];
        let mut share = Part {
            shape,
            keys: keys.clone(),
            key: &key,
            key_by_channel: &key_by_channel,
            value: &value,
            bias: self.bias,
            sums: &mut sums,
            of_bias: self.of_bias,
        };
        // Earlier queries see none of these keys.
        let mut start = shape.blind(keys.start);
        while start < shape.queries {
            let left = shape.queries - start;
            let pair = S::REGISTER_COUNT >= 32 && left > S::F32_LANES;
            let count = left.min(if pair { 2 * S::F32_LANES } else { S::F32_LANES });
            let rows = rows.map(|rows| rows.part(start, count));
            let softmax = &self.softmax[start..][..count];
            let of_query = &mut of_query[start * width..][..count * width];
            if pair {
                share.add::<S, 2, C>(simd, start, rows, softmax, of_query, scratch);
            } else {
                share.add::<S, 1, C>(simd, start, rows, softmax, of_query, scratch);
            }
            start += count;
        }
        for (sums, target, factor) in [(&sums[0], of_key, shape.scale), (&sums[1], of_value, 1.0)] {
            for (start, panel) in (0..width).step_by(size).zip(sums.chunks_exact(padded * size)) {
                let count = size.min(width - start);
                for (row, values) in target.chunks_exact_mut(width).zip(panel.chunks_exact(size)) {
                    row[start..][..count].iter_mut().zip(values).for_each(|(target, sum)| *target = sum * factor);
                }
            }
        }
    }
}

/// What all groups of queries of a share use.
struct Part<'a> {
    shape: &'a Shape,
    keys: Range<usize>,
    /// `[panel of keys, channel, PANEL]`
    key: &'a [f32],
    /// `[panel of channels, key, PANEL]`
    key_by_channel: &'a [f32],
    /// `[panel of keys, channel, PANEL]`
    value: &'a [f32],
    bias: Option<&'a [f32]>,
    /// The gradients of keys and values, `[group of channels, key, channel]`.
    sums: &'a mut [Vec<f32>; 2],
    of_bias: Option<&'a mut [f32]>,
}

impl Part<'_> {
    /// Adds what one group of queries gives: `rows` are those of queries, gradient and output.
    #[inline(always)]
    fn add<S: Simd, const M: usize, const C: usize>(
        &mut self,
        simd: S,
        start: usize,
        rows: [Rows; 3],
        softmax: &[Softmax],
        of_query: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (lanes, size) = (M * S::F32_LANES, C * S::F32_LANES);
        let Shape { width, scale, .. } = *self.shape;
        let (turned_length, long) = (width * lanes, width.next_multiple_of(size) * lanes);
        let [query, gradient, query_rows, gradient_rows, query_sums, scores, slopes] = scratch.pieces([
            turned_length,
            turned_length,
            long,
            long,
            width.next_multiple_of(PANEL) * lanes,
            BLOCK * lanes,
            BLOCK * lanes,
        ]);
        turned(rows[0], lanes, scale, query);
        turned(rows[1], lanes, 1.0, gradient);
        of_channels(rows[0], size, lanes, query_rows);
        of_channels(rows[1], size, lanes, gradient_rows);
        query_sums.fill(0.0);
        let (mut highest, mut inverse, mut mean) = ([0.0; TILE], [0.0; TILE], [0.0; TILE]);
        for (lane, softmax) in softmax.iter().enumerate() {
            (highest[lane], inverse[lane]) = (softmax.highest, softmax.inverse);
            mean[lane] = sum_of_pairs(rows[1].row(lane), rows[2].row(lane), |gradient, output| gradient * output);
        }
        let [highest, inverse, mean] = [&highest, &inverse, &mean].map(|values| groups::<S, M>(values)[0]);
        let end = self.shape.visible(start + softmax.len() - 1).min(self.keys.end);
        for first in self.keys.clone().step_by(BLOCK) {
            if first >= end {
                break;
            }
            let count = BLOCK.min(end - first);
            let at = first - self.keys.start;
            let source = Scores { shape: self.shape, key: self.key, first_key: self.keys.start, bias: self.bias };
            source.compute::<S, M>(simd, query, start, softmax.len(), first..first + count, scores);
            let panels = self.value[at * width..].chunks_exact(width * PANEL).take(count.div_ceil(PANEL));
            for (panel, slopes) in panels.zip(groups_mut::<S, M>(slopes).as_chunks_mut().0) {
                multiply(simd, groups::<S, M>(gradient), panel, |_, _| simd.splat_f32s(0.0), slopes);
            }
            // The rest of the last panel is not of this block.
            for values in [&mut *scores, &mut *slopes] {
                values[count * lanes..count.next_multiple_of(PANEL) * lanes].fill(0.0);
            }
            let lines = groups_mut::<S, M>(scores).iter_mut().zip(groups_mut::<S, M>(slopes)).take(count);
            for (score, slope) in lines {
                for m in 0..M {
                    let weight = simd.mul_f32s(exp(simd, simd.sub_f32s(score[m], highest[m])), inverse[m]);
                    score[m] = weight;
                    slope[m] = simd.mul_f32s(weight, simd.sub_f32s(slope[m], mean[m]));
                }
            }
            if let Some(of_bias) = &mut self.of_bias {
                let lines = of_bias.chunks_exact_mut(self.keys.len()).skip(start).take(softmax.len());
                for (lane, line) in lines.enumerate() {
                    let slopes = slopes.chunks_exact(lanes);
                    line[at..][..count].iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope[lane]);
                }
            }
            let targets = groups_mut::<S, M>(query_sums).as_chunks_mut().0;
            for (panel, sums) in self.key_by_channel.chunks_exact(self.keys.len() * PANEL).zip(targets) {
                let panel = &panel[at * PANEL..][..count * PANEL];
                multiply(simd, groups::<S, M>(slopes), panel, |_, sum| sum, sums);
            }
            for (sums, (columns, rows)) in
                self.sums.iter_mut().zip([(&*slopes, &*query_rows), (&*scores, &*gradient_rows)])
            {
                let padded = self.keys.len().next_multiple_of(PANEL);
                for (sums, rows) in sums.chunks_exact_mut(padded * size).zip(rows.chunks_exact(lanes * size)) {
                    let sums = groups_mut::<S, C>(&mut sums[at * size..]).as_chunks_mut().0;
                    let panels = columns.chunks_exact(PANEL * lanes).take(count.div_ceil(PANEL));
                    for (sums, columns) in sums.iter_mut().zip(panels) {
                        multiply_columns(simd, lanes, groups::<S, C>(rows), columns, sums);
                    }
                }
            }
        }
        turned_back(query_sums, lanes, &[scale; TILE], width, of_query);
    }
}
