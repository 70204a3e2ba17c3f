//! Normalisation of rows and its gradients on slices.

use crate::ops::fresh::{Fresh, in_pieces};
use crate::ops::simd::{Moments, Normaliser, sum_of_pairs, vectorised};

/// What is normalised how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    /// Values in a row.
    pub width: usize,
    pub epsilon: f64,
    /// Whether the mean is subtracted, and the spread around it; else the spread is around zero.
    pub centred: bool,
}

/// The gradients of the input, of the scale and of the shift.
pub(super) struct Gradients {
    pub input: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl Norm {
    /// Values of the rows that are one task.
    fn piece(&self) -> usize {
        (1usize << 15).div_ceil(self.width.max(1)) * self.width
    }

    #[inline(always)]
    fn normaliser(&self, row: &[f32]) -> Normaliser {
        if self.centred {
            return Moments::of(row).normaliser(self.epsilon);
        }
        let square = sum_of_pairs(row, row, |value, _| value * value) / row.len() as f32;
        [0.0, (1.0 / (f64::from(square) + self.epsilon).sqrt()) as f32]
    }

    #[inline(always)]
    fn forward(&self, input: &[f32], scale: &[f32], shift: &[f32], output: &mut Fresh) -> Vec<Normaliser> {
        let mut normalisers = Vec::with_capacity(input.len() / self.width);
        for row in input.chunks_exact(self.width) {
            let normaliser @ [mean, reciprocal] = self.normaliser(row);
            let affine = scale.iter().zip(shift);
            output.append(
                row.iter()
                    .zip(affine)
                    .map(|(value, (scale, shift))| ((value - mean) * reciprocal).mul_add(*scale, *shift)),
            );
            normalisers.push(normaliser);
        }
        normalisers
    }

    /// Writes the gradient of some rows; gives their part of those of scale and shift.
    #[inline(always)]
    fn backward(
        &self,
        gradient: &[f32],
        input: &[f32],
        scale: &[f32],
        normalisers: &[Normaliser],
        place: &mut Fresh,
    ) -> [Vec<f32>; 2] {
        let [mut of_scale, mut of_shift] = [vec![0.0; self.width], vec![0.0; self.width]];
        let rows = gradient.chunks_exact(self.width).zip(input.chunks_exact(self.width));
        for ((gradient, input), [mean, reciprocal]) in rows.zip(normalisers) {
            let sums = of_scale.iter_mut().zip(&mut of_shift);
            for ((of_scale, of_shift), (gradient, value)) in sums.zip(gradient.iter().zip(input)) {
                *of_scale = ((value - mean) * reciprocal).mul_add(*gradient, *of_scale);
                *of_shift += gradient;
            }
            let scaled = place.append(gradient.iter().zip(scale).map(|(gradient, scale)| gradient * scale));
            let count = self.width as f32;
            let weighted = sum_of_pairs(scaled, input, |scaled, value| scaled * (value - mean)) * reciprocal / count;
            let plain = if self.centred { sum_of_pairs(scaled, scaled, |scaled, _| scaled) / count } else { 0.0 };
            let (slope, offset) = (-weighted * reciprocal * reciprocal, -plain * reciprocal);
            for (scaled, value) in scaled.iter_mut().zip(input) {
                *scaled = scaled.mul_add(*reciprocal, (value - mean).mul_add(slope, offset));
            }
        }
        [of_scale, of_shift]
    }
}

/// # Shapes
///
/// `[row, width]`, `[width]`, `[width]` → the same as the first, and `[row]`
pub(super) fn forward(norm: &Norm, input: &[f32], scale: &[f32], shift: &[f32]) -> (Vec<f32>, Vec<Normaliser>) {
    let size = norm.piece();
    let (output, normalisers) = in_pieces(input.len(), size, |index, output| {
        let input = &input[index * size..input.len().min((index + 1) * size)];
        vectorised(
            #[inline(always)]
            || norm.forward(input, scale, shift, output),
        )
    });
    (output, normalisers.concat())
}

/// # Shapes
///
/// gradient of the output and input `[row, width]`, `[width]`, `[row]`
pub(super) fn backward(
    norm: &Norm,
    gradient: &[f32],
    input: &[f32],
    scale: &[f32],
    normalisers: &[Normaliser],
) -> Gradients {
    let size = norm.piece();
    let (of_input, parts) = in_pieces(input.len(), size, |index, place| {
        let range = index * size..input.len().min((index + 1) * size);
        let normalisers = &normalisers[range.start / norm.width..];
        let [gradient, input] = [gradient, input].map(|values| &values[range.clone()]);
        vectorised(
            #[inline(always)]
            || norm.backward(gradient, input, scale, normalisers, place),
        )
    });
    let [mut scale, mut shift] = [vec![0.0; norm.width], vec![0.0; norm.width]];
    for [of_scale, of_shift] in parts {
        for (totals, part) in [(&mut scale, of_scale), (&mut shift, of_shift)] {
            totals.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
    }
    Gradients { input: of_input, scale, shift }
}
