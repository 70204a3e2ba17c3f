//! Group normalisation and its gradients on slices.

use rayon::prelude::*;

use crate::ops::fresh::{Fresh, in_pieces};
use crate::ops::simd::{BLOCK, Moments, Normaliser, sigmoid, silu, sum_of_pairs, vectorised};

/// Groups of more values than this stay in no core's cache: their statistics are one pass of all threads, what is made of
/// them another. Smaller ones are one task each.
const CACHED: usize = 1 << 17;

/// What is normalised how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    /// Batch, channels and positions.
    pub shape: [usize; 3],
    pub groups: usize,
    pub epsilon: f64,
    pub silu: bool,
}

/// The gradients of the input, of the scale and of the shift.
pub(super) struct Gradients {
    pub input: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl Norm {
    fn channels_per_group(&self) -> usize {
        self.shape[1] / self.groups
    }

    fn group_size(&self) -> usize {
        self.channels_per_group() * self.shape[2]
    }
}

/// What a step reads.
#[derive(Clone, Copy)]
struct Read<'a> {
    norm: &'a Norm,
    input: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
}

/// # Shapes
///
/// `[batch, channel, position]`, `[channel]`, `[channel]` → the same as the first, and `[batch, group]`
pub(super) fn forward(norm: &Norm, input: &[f32], scale: &[f32], shift: &[f32]) -> (Vec<f32>, Vec<Normaliser>) {
    let (size, per_group) = (norm.group_size(), norm.channels_per_group());
    let read = Read { norm, input, scale, shift };
    if size > CACHED {
        let normalisers: Vec<_> =
            input.chunks_exact(size).map(|group| shared_normaliser(group, norm.epsilon)).collect();
        let (output, _) = in_pieces(input.len(), norm.shape[2], |index, output| {
            vectorised(
                #[inline(always)]
                || read.forward_channel(index, normalisers[index / per_group], output),
            );
        });
        return (output, normalisers);
    }
    in_pieces(input.len(), size, |group, output| {
        vectorised(
            #[inline(always)]
            || {
                let normaliser = Moments::of(&input[group * size..][..size]).normaliser(norm.epsilon);
                for index in group * per_group..(group + 1) * per_group {
                    read.forward_channel(index, normaliser, output);
                }
                normaliser
            },
        )
    })
}

/// The normaliser of values that all threads go through.
fn shared_normaliser(values: &[f32], epsilon: f64) -> Normaliser {
    let blocks: Vec<_> = values
        .par_chunks(BLOCK)
        .map(|block| {
            vectorised(
                #[inline(always)]
                || Moments::of(block),
            )
        })
        .collect();
    blocks.into_iter().fold(Moments::default(), Moments::with).normaliser(epsilon)
}

/// # Shapes
///
/// gradient of the output and input `[batch, channel, position]`, `[channel]`, `[channel]`, `[batch, group]`
pub(super) fn backward(
    norm: &Norm,
    gradient: &[f32],
    input: &[f32],
    [scale, shift]: [&[f32]; 2],
    normalisers: &[Normaliser],
) -> Gradients {
    let (size, [_, channels, positions]) = (norm.group_size(), norm.shape);
    let per_group = norm.channels_per_group();
    let read = Read { norm, input, scale, shift };
    let (of_input, sums) = if size > CACHED {
        let (mut values, sums) = in_pieces(input.len(), positions, |index, place| {
            vectorised(
                #[inline(always)]
                || read.behind_affine(index, normalisers[index / per_group], gradient, place),
            )
        });
        let means: Vec<_> =
            sums.chunks_exact(per_group).enumerate().map(|(group, sums)| read.group_means(group, sums)).collect();
        values.par_chunks_exact_mut(positions).enumerate().for_each(|(index, values)| {
            let group = index / per_group;
            vectorised(
                #[inline(always)]
                || read.finish_channel(index, normalisers[group], means[group], values),
            );
        });
        (values, sums)
    } else {
        let (values, sums) = in_pieces(input.len(), size, |group, place| {
            let normaliser = normalisers[group];
            vectorised(
                #[inline(always)]
                || {
                    let mut sums = Vec::with_capacity(per_group);
                    for index in group * per_group..(group + 1) * per_group {
                        sums.push(read.behind_affine(index, normaliser, gradient, place));
                    }
                    let means = read.group_means(group, &sums);
                    for (index, values) in (group * per_group..).zip(place.written().chunks_exact_mut(positions)) {
                        read.finish_channel(index, normaliser, means, values);
                    }
                    sums
                },
            )
        });
        (values, sums.concat())
    };
    let mut totals = vec![[0.0f32; 2]; channels];
    for item in sums.chunks_exact(channels) {
        for (total, sums) in totals.iter_mut().zip(item) {
            *total = [total[0] + sums[0], total[1] + sums[1]];
        }
    }
    let [scale, shift] = [0, 1].map(|index| totals.iter().map(|total| total[index]).collect());
    Gradients { input: of_input, scale, shift }
}

// Channels are counted through the whole batch.
impl Read<'_> {
    fn affine(&self, index: usize) -> [f32; 2] {
        let channel = index % self.norm.shape[1];
        [self.scale[channel], self.shift[channel]]
    }

    #[inline(always)]
    fn plane<'a>(&self, index: usize, values: &'a [f32]) -> &'a [f32] {
        &values[index * self.norm.shape[2]..][..self.norm.shape[2]]
    }

    #[inline(always)]
    fn forward_channel(&self, index: usize, [mean, reciprocal]: Normaliser, output: &mut Fresh) {
        let [scale, shift] = self.affine(index);
        let scale = reciprocal * scale;
        let input = self.plane(index, self.input).iter();
        if self.norm.silu {
            output.append(input.map(|input| silu((input - mean).mul_add(scale, shift))));
        } else {
            output.append(input.map(|input| (input - mean).mul_add(scale, shift)));
        }
    }

    /// Writes the gradient between affine step and `SiLU`; gives the sums that are the gradients of scale and shift.
    #[inline(always)]
    fn behind_affine(
        &self,
        index: usize,
        [mean, reciprocal]: Normaliser,
        gradient: &[f32],
        place: &mut Fresh,
    ) -> [f32; 2] {
        /// Three of these stay in the first-level cache.
        const SHORT: usize = 2048;
        let [scale, shift] = self.affine(index);
        let scale = reciprocal * scale;
        let [gradient, input] = [gradient, self.input].map(|values| self.plane(index, values).chunks(SHORT));
        let (mut weighted, mut plain) = (0.0f64, 0.0f64);
        for (gradient, input) in gradient.zip(input) {
            let values = if self.norm.silu {
                place.append(gradient.iter().zip(input).map(|(gradient, input)| {
                    let normal = (input - mean).mul_add(scale, shift);
                    let sigmoid = sigmoid(normal);
                    gradient * sigmoid * normal.mul_add(1.0 - sigmoid, 1.0)
                }))
            } else {
                place.append(gradient.iter().copied())
            };
            weighted += f64::from(sum_of_pairs(values, input, |value, input| value * (input - mean)));
            plain += f64::from(sum_of_pairs(values, values, |value, _| value));
        }
        [(weighted * f64::from(reciprocal)) as f32, plain as f32]
    }

    /// The means over a group of its scaled gradients, times the normalised input and plain.
    fn group_means(&self, group: usize, sums: &[[f32; 2]]) -> [f32; 2] {
        let mut totals = [0.0f32; 2];
        for (index, [weighted, plain]) in (group * sums.len()..).zip(sums) {
            let [scale, _] = self.affine(index);
            totals = [totals[0] + scale * weighted, totals[1] + scale * plain];
        }
        totals.map(|total| total / self.norm.group_size() as f32)
    }

    /// From the gradient behind the affine step to that of the input, in place.
    #[inline(always)]
    fn finish_channel(
        &self,
        index: usize,
        [mean, reciprocal]: Normaliser,
        [weighted, plain]: [f32; 2],
        values: &mut [f32],
    ) {
        let scale = self.affine(index)[0] * reciprocal;
        let (slope, offset) = (-weighted * reciprocal * reciprocal, -plain * reciprocal);
        for (value, input) in values.iter_mut().zip(self.plane(index, self.input)) {
            *value = value.mul_add(scale, (input - mean).mul_add(slope, offset));
        }
    }
}
