//! Two real frames in one complex transform.
//!
//! One frame is the real part, the other the imaginary one: their spectra are the even and the odd half of the sum's. A
//! transform of real values needs a pass of rotations after it (before it, on the way back); here that pass only adds and
//! subtracts, and is the one in which the magnitudes are set.

use std::sync::Arc;

use nocturne_models::ops::vectorised;
use realfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::mel::Stft;

/// Bins that are handled together.
const LANES: usize = 16;

/// The plans of one transform length.
pub struct Pairs<'a> {
    window: &'a [f32],
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
}

/// The working memory of one task.
#[derive(Clone)]
pub struct PairScratch {
    /// Two frames, or their spectra.
    values: Vec<Complex<f32>>,
    fft: Vec<Complex<f32>>,
}

impl<'a> Pairs<'a> {
    /// Plans what `stft` transforms.
    pub fn new(stft: &'a Stft) -> Self {
        let mut planner = FftPlanner::new();
        let [forward, inverse] = [planner.plan_fft_forward(stft.n_fft()), planner.plan_fft_inverse(stft.n_fft())];
        Self { window: stft.window(), forward, inverse }
    }

    /// Memory for one task.
    pub fn scratch(&self) -> PairScratch {
        let needed = self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len());
        PairScratch { values: vec![Complex::default(); self.window.len()], fft: vec![Complex::default(); needed] }
    }

    /// Takes the spectra of two frames, windowed.
    pub fn forward(&self, frames: [&[f32]; 2], scratch: &mut PairScratch) {
        let PairScratch { values, fft } = scratch;
        let [first, second] = frames;
        vectorised(
            #[inline(always)]
            || {
                for (((value, first), second), weight) in values.iter_mut().zip(first).zip(second).zip(self.window) {
                    *value = Complex::new(first * weight, second * weight);
                }
            },
        );
        self.forward.process_with_scratch(values, fft);
    }

    /// Puts two spectra of real frames together: `bins(k)` gives bin `k` of either. The imaginary parts of the first and of the
    /// Nyquist bin do not count, as in NumPy.
    pub fn join(mut bins: impl FnMut(usize) -> [Complex<f32>; 2], scratch: &mut PairScratch) {
        let length = scratch.values.len();
        for bin in 0..=length / 2 {
            let [mut first, mut second] = bins(bin);
            let mirror = (length - bin) % length;
            if mirror == bin {
                (first.im, second.im) = (0.0, 0.0);
            }
            scratch.values[bin] = Complex::new(first.re - second.im, first.im + second.re);
            scratch.values[mirror] = Complex::new(first.re + second.im, second.re - first.im);
        }
    }

    /// Gives both spectra the wanted magnitudes and leaves their phases.
    pub fn set_magnitudes(wanted: [&[f32]; 2], scratch: &mut PairScratch) {
        let values = &mut scratch.values[..];
        let length = values.len();
        let [first, second] = wanted;
        let alone = |value: &mut Complex<f32>, bin: usize| {
            let sign = |part: f32| part / (part.abs() + f32::MIN_POSITIVE);
            *value = Complex::new(first[bin] * sign(value.re), second[bin] * sign(value.im));
        };
        alone(&mut values[0], 0);
        if length.is_multiple_of(2) {
            alone(&mut values[length / 2], length / 2);
        }
        // Bin k and its mirror image, n − k: the second half is walked backwards.
        let inner = length.div_ceil(2) - 1;
        let (low, high) = values[1..].split_at_mut(length - 1 - inner);
        let (low, first, second) = (&mut low[..inner], &first[1..=inner], &second[1..=inner]);
        vectorised(
            #[inline(always)]
            || {
                let whole = inner - inner % LANES;
                for start in (0..whole).step_by(LANES) {
                    let mirrored = inner - start - LANES..inner - start;
                    let low = low[start..].first_chunk_mut::<LANES>();
                    let high = high[mirrored].first_chunk_mut::<LANES>();
                    let wanted = (first[start..].first_chunk::<LANES>(), second[start..].first_chunk::<LANES>());
                    if let (Some(low), Some(high), (Some(first), Some(second))) = (low, high, wanted) {
                        set(low, high, first, second);
                    }
                }
                for bin in whole..inner {
                    let (low, high) = (&mut low[bin], &mut high[inner - 1 - bin]);
                    let (mut lows, mut highs) = ([*low], [*high]);
                    set(&mut lows, &mut highs, &[first[bin]], &[second[bin]]);
                    (*low, *high) = (lows[0], highs[0]);
                }
            },
        );
    }

    /// Adds the windowed inverse of both spectra, `n_fft` times too large, to `sums`, where each begins at its offset. A second
    /// one without offset is left out.
    pub fn add_inverse(&self, scratch: &mut PairScratch, sums: &mut [f32], first: usize, second: Option<usize>) {
        let PairScratch { values, fft } = scratch;
        self.inverse.process_with_scratch(values, fft);
        let length = values.len();
        vectorised(
            #[inline(always)]
            || {
                for ((sum, value), weight) in sums[first..first + length].iter_mut().zip(&*values).zip(self.window) {
                    *sum += value.re * weight;
                }
                let Some(second) = second else { return };
                for ((sum, value), weight) in sums[second..second + length].iter_mut().zip(&*values).zip(self.window) {
                    *sum += value.im * weight;
                }
            },
        );
    }
}

/// Sets bins `k…` of two spectra and their mirror images, which come in the other order.
#[inline(always)]
fn set<const N: usize>(low: &mut [Complex<f32>; N], high: &mut [Complex<f32>; N], first: &[f32; N], second: &[f32; N]) {
    let [mut low_re, mut low_im, mut high_re, mut high_im] = [[0.0_f32; N]; 4];
    for lane in 0..N {
        (low_re[lane], low_im[lane]) = (low[lane].re, low[lane].im);
        (high_re[lane], high_im[lane]) = (high[N - 1 - lane].re, high[N - 1 - lane].im);
    }
    for lane in 0..N {
        // Twice the bin of the first frame, and of the second.
        let one = [low_re[lane] + high_re[lane], low_im[lane] - high_im[lane]];
        let two = [low_im[lane] + high_im[lane], high_re[lane] - low_re[lane]];
        let scale = |[re, im]: [f32; 2], wanted: f32| wanted / ((re * re + im * im).sqrt() + f32::MIN_POSITIVE);
        let [one_by, two_by] = [scale(one, first[lane]), scale(two, second[lane])];
        let [one, two] = [one.map(|part| part * one_by), two.map(|part| part * two_by)];
        (low_re[lane], low_im[lane]) = (one[0] - two[1], one[1] + two[0]);
        (high_re[lane], high_im[lane]) = (one[0] + two[1], two[0] - one[1]);
    }
    for lane in 0..N {
        low[lane] = Complex::new(low_re[lane], low_im[lane]);
        high[N - 1 - lane] = Complex::new(high_re[lane], high_im[lane]);
    }
}

#[cfg(test)]
mod tests {
    use nocturne_models::random::Random;

    use super::*;

    /// Against two transforms of real values.
    #[test]
    fn a_pair_is_two_frames() {
        for n_fft in [2, 3, 15, 16, 64, 400] {
            let stft = Stft::new(n_fft, 1);
            let frame = |index: u64| Random::new(5, "frame", index).normal(n_fft);
            let frames = [frame(0), frame(1)];
            let wanted = [frame(2), frame(3)].map(|values| values.iter().map(|x| x.abs()).collect::<Vec<f32>>());
            let pairs = Pairs::new(&stft);
            let mut scratch = pairs.scratch();
            pairs.forward([&frames[0], &frames[1]], &mut scratch);
            Pairs::set_magnitudes([&wanted[0], &wanted[1]], &mut scratch);
            let mut sums = vec![0.0; 2 * n_fft];
            pairs.add_inverse(&mut scratch, &mut sums, 0, Some(n_fft));
            for (index, (frame, wanted)) in frames.iter().zip(&wanted).enumerate() {
                let mut alone = stft.scratch();
                stft.forward(frame, &mut alone);
                for (bin, wanted) in alone.spectrum.iter_mut().zip(wanted) {
                    *bin *= wanted / bin.norm().max(f32::MIN_POSITIVE);
                }
                let mut expected = vec![0.0; n_fft];
                stft.inverse(&mut alone, &mut expected);
                for ((found, expected), weight) in sums[index * n_fft..].iter().zip(&expected).zip(stft.window()) {
                    let expected = expected * weight;
                    assert!((found - expected).abs() < 1e-4 * n_fft as f32, "{n_fft}: {found} {expected}");
                }
            }
        }
    }
}
