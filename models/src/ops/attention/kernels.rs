//! Attention and its gradients on slices. Channels of heads lie side by side, so that a head is a matrix of long rows.

use rayon::prelude::*;

use crate::ops::matrix::{Matrix, multiply, transpose};
use crate::ops::simd::{exp, maximum, sum_of_pairs, vectorised};

/// The sizes of one attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    pub positions: usize,
    pub channels: usize,
    pub count: usize,
}

impl Heads {
    fn width(&self) -> usize {
        self.channels / self.count
    }

    fn item(&self) -> usize {
        self.positions * self.channels
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.width() as f64).sqrt()) as f32
    }

    /// How many queries are scored at a time: their scores fit a core's second-level cache.
    fn tile(&self) -> usize {
        const CACHED: usize = 64 * 1024;
        (CACHED / self.positions / 16 * 16).clamp(16, 256).min(self.positions)
    }

    /// The rows of one head from `values`, `[position, channel]`.
    fn rows<'a>(&self, values: &'a [f32], head: usize) -> Matrix<'a> {
        Matrix::rows(&values[head * self.width()..], self.channels)
    }

    /// The rows of one head from `values`, `[channel, position]`.
    fn columns<'a>(&self, values: &'a [f32], head: usize) -> Matrix<'a> {
        Matrix::rows(&values[head * self.width() * self.positions..], self.positions)
    }

    /// `[batch, position, channel]` → `[batch, channel, position]`
    fn channels_first(&self, values: &[f32]) -> Vec<f32> {
        let mut turned = vec![0.0; values.len()];
        let items = turned.par_chunks_exact_mut(self.item()).zip(values.par_chunks_exact(self.item()));
        items.for_each(|(turned, values)| transpose(values, self.channels, turned));
        turned
    }
}

/// # Shapes
///
/// three times `[batch, position, channel]` → the same, and the logarithm of each softmax's denominator
/// `[batch, position, head]`
pub(super) fn forward(heads: &Heads, query: &[f32], key: &[f32], value: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let Heads { positions, channels, count } = *heads;
    let (width, tile) = (heads.width(), heads.tile());
    let key = heads.channels_first(key);
    let mut output = vec![0.0; query.len()];
    let mut logarithms = vec![0.0; query.len() / channels * count];
    let tiles: Vec<_> = output
        .chunks_exact_mut(heads.item())
        .zip(logarithms.chunks_exact_mut(positions * count))
        .enumerate()
        .flat_map(|(item, (output, logarithms))| {
            let parts = output.chunks_mut(tile * channels).zip(logarithms.chunks_mut(tile * count));
            parts.enumerate().map(move |(index, part)| (item * heads.item(), index * tile, part))
        })
        .collect();
    tiles.into_par_iter().for_each_init(
        || vec![0.0; tile * positions],
        |scores, (item, start, (output, logarithms))| {
            let rows = output.len() / channels;
            let query = &query[item + start * channels..];
            for head in 0..count {
                let left = heads.rows(query, head);
                let right = heads.columns(&key[item..], head);
                multiply(scores, positions, left, right, [rows, width, positions], false);
                let lines = scores.chunks_exact_mut(positions).zip(logarithms.chunks_exact_mut(count));
                vectorised(|| lines.for_each(|(line, logarithm)| logarithm[head] = softmax(line, heads.scale())));
                let target = &mut output[head * width..];
                let scores = Matrix::rows(scores, positions);
                multiply(target, channels, scores, heads.rows(&value[item..], head), [rows, positions, width], false);
            }
        },
    );
    (output, logarithms)
}

/// The softmax of `scale` times `scores`, in place; gives the logarithm of its denominator.
#[inline(always)]
fn softmax(scores: &mut [f32], scale: f32) -> f32 {
    let highest = maximum(scores) * scale;
    for score in scores.iter_mut() {
        *score = exp(*score * scale - highest);
    }
    let total = sum_of_pairs(scores, scores, |score, _| score);
    for score in scores.iter_mut() {
        *score /= total;
    }
    highest + libm::logf(total)
}

/// What one head of one item gives back: the gradients of its queries, keys and values, `[position, width]` each.
type HeadGradients = [Vec<f32>; 3];

/// # Shapes
///
/// gradient of the output, output, queries, keys and values `[batch, position, channel]` → the gradients of the last three
pub(super) fn backward(
    heads: &Heads,
    gradient: &[f32],
    output: &[f32],
    [query, key, value]: [&[f32]; 3],
    logarithms: &[f32],
) -> [Vec<f32>; 3] {
    let Heads { positions, count, .. } = *heads;
    let (width, item) = (heads.width(), heads.item());
    let (turned_key, turned_value) = (heads.channels_first(key), heads.channels_first(value));
    let of_heads: Vec<HeadGradients> = (0..query.len() / item * count)
        .into_par_iter()
        .map_init(
            || [(); 2].map(|()| vec![0.0; heads.tile() * positions]),
            |scratch, index| {
                let (start, head) = (index / count * item, index % count);
                let rows = |values| heads.rows(values, head);
                let head = Head {
                    gradient: rows(&gradient[start..]),
                    output: rows(&output[start..]),
                    query: rows(&query[start..]),
                    key: rows(&key[start..]),
                    turned_key: heads.columns(&turned_key[start..], head),
                    turned_value: heads.columns(&turned_value[start..], head),
                    logarithms: &logarithms[start / heads.channels * count + head..],
                };
                head.backward(heads, scratch)
            },
        )
        .collect();
    [0, 1, 2].map(|which| {
        let mut merged = vec![0.0; query.len()];
        merged.par_chunks_exact_mut(item).zip(of_heads.par_chunks_exact(count)).for_each(|(merged, of_heads)| {
            for (position, line) in merged.chunks_exact_mut(heads.channels).enumerate() {
                for (part, head) in line.chunks_exact_mut(width).zip(of_heads) {
                    part.copy_from_slice(&head[which][position * width..][..width]);
                }
            }
        });
        merged
    })
}

/// One head of one item.
struct Head<'a> {
    gradient: Matrix<'a>,
    output: Matrix<'a>,
    query: Matrix<'a>,
    key: Matrix<'a>,
    turned_key: Matrix<'a>,
    turned_value: Matrix<'a>,
    /// Every `count`-th is of this head.
    logarithms: &'a [f32],
}

impl Head<'_> {
    fn backward(&self, heads: &Heads, [scores, slopes]: &mut [Vec<f32>; 2]) -> HeadGradients {
        let (positions, width) = (heads.positions, heads.width());
        let [mut of_query, mut of_key, mut of_value] = [(); 3].map(|()| vec![0.0; positions * width]);
        for start in (0..positions).step_by(heads.tile()) {
            let rows = heads.tile().min(positions - start);
            let (query, gradient) = (self.query.below(start), self.gradient.below(start));
            multiply(scores, positions, query, self.turned_key, [rows, width, positions], false);
            multiply(slopes, positions, gradient, self.turned_value, [rows, width, positions], false);
            vectorised(|| {
                let lines = scores.chunks_exact_mut(positions).zip(slopes.chunks_exact_mut(positions)).take(rows);
                for (row, (scores, slopes)) in (start..).zip(lines) {
                    let output = &self.output.below(row).values[..width];
                    let gradient = &self.gradient.below(row).values[..width];
                    let mean = sum_of_pairs(output, gradient, |output, gradient| output * gradient);
                    let logarithm = self.logarithms[row * heads.count];
                    let scale = heads.scale();
                    for (score, slope) in scores.iter_mut().zip(slopes) {
                        *score = exp(*score * scale - logarithm);
                        *slope = *score * (*slope - mean) * scale;
                    }
                }
            });
            let [scores, slopes] = [&*scores, &*slopes].map(|values| Matrix::rows(values, positions));
            multiply(&mut of_query[start * width..], width, slopes, self.key, [rows, positions, width], false);
            multiply(&mut of_key, width, slopes.transposed(), query, [positions, rows, width], true);
            multiply(&mut of_value, width, scores.transposed(), gradient, [positions, rows, width], true);
        }
        [of_query, of_key, of_value]
    }
}
