use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// A short-time Fourier transform with a periodic Hann window, by default as long as the transform.
///
/// It knows no padding: callers pad ([`pad_zero`] for librosa's centred frames, [`pad_reflect`] for BigVGAN's) and frame
/// `t` is `padded[t * hop_length..][..n_fft]`.
#[derive(Clone)]
pub struct Stft {
    n_fft: usize,
    hop_length: usize,
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

/// The working memory of one thread that transforms frames.
#[derive(Clone)]
pub struct StftScratch {
    frame: Vec<f32>,
    /// The spectrum of the last frame, `n_fft / 2 + 1` bins.
    pub spectrum: Vec<Complex<f32>>,
    fft: Vec<Complex<f32>>,
}

impl Stft {
    /// Plans transforms of `n_fft` samples every `hop_length`. Neither may be zero.
    pub fn new(n_fft: usize, hop_length: usize) -> Self {
        Self::with_window(n_fft, n_fft, hop_length)
    }

    /// As [`Stft::new`], with a window of the frame's first `window_length` samples; what follows them does not count.
    /// It may not be longer than the transform.
    pub fn with_window(n_fft: usize, window_length: usize, hop_length: usize) -> Self {
        assert!(n_fft > 0 && hop_length > 0, "n_fft {n_fft} and hop length {hop_length} must not be zero");
        assert!(window_length <= n_fft, "a window of {window_length} samples for transforms of {n_fft}");
        let mut planner = RealFftPlanner::new();
        let mut window: Vec<f32> = (0..window_length)
            .map(|n| (0.5 - 0.5 * libm::cos(std::f64::consts::TAU * n as f64 / window_length as f64)) as f32)
            .collect();
        window.resize(n_fft, 0.0);
        Self {
            n_fft,
            hop_length,
            window,
            forward: planner.plan_fft_forward(n_fft),
            inverse: planner.plan_fft_inverse(n_fft),
        }
    }

    /// Samples of one transform.
    pub fn n_fft(&self) -> usize {
        self.n_fft
    }

    /// Samples between frames.
    pub fn hop_length(&self) -> usize {
        self.hop_length
    }

    /// Frequency bins, `n_fft / 2 + 1`.
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// The periodic Hann window and the zeros behind it, `n_fft` values.
    pub fn window(&self) -> &[f32] {
        &self.window
    }

    /// How many whole frames a padded signal of `length` samples has.
    pub fn frames(&self, length: usize) -> usize {
        if length < self.n_fft { 0 } else { 1 + (length - self.n_fft) / self.hop_length }
    }

    /// Memory for one thread.
    pub fn scratch(&self) -> StftScratch {
        StftScratch {
            frame: self.forward.make_input_vec(),
            spectrum: self.forward.make_output_vec(),
            fft: vec![Complex::default(); self.forward.get_scratch_len().max(self.inverse.get_scratch_len())],
        }
    }

    /// Puts the spectrum of one windowed frame of `n_fft` samples into `scratch.spectrum`.
    pub fn forward(&self, frame: &[f32], scratch: &mut StftScratch) {
        let StftScratch { frame: windowed, spectrum, fft } = scratch;
        assert_eq!(frame.len(), self.n_fft, "a frame has {} samples, expected {}", frame.len(), self.n_fft);
        for ((out, sample), weight) in windowed.iter_mut().zip(frame).zip(&self.window) {
            *out = sample * weight;
        }
        self.forward.process_with_scratch(windowed, spectrum, fft).expect("the scratch is of this transform");
    }

    /// The unnormalised inverse of `scratch.spectrum` (which it overwrites) into `out`: `n_fft` times the samples, not
    /// windowed. The imaginary parts of the first and of the Nyquist bin do not count, as in NumPy.
    pub fn inverse(&self, scratch: &mut StftScratch, out: &mut [f32]) {
        let StftScratch { spectrum, fft, .. } = scratch;
        spectrum[0].im = 0.0;
        if self.n_fft.is_multiple_of(2) {
            spectrum[self.n_fft / 2].im = 0.0;
        }
        self.inverse.process_with_scratch(spectrum, out, fft).expect("the scratch is of this transform");
    }
}

/// `signal` between two times `count` zeros.
pub fn pad_zero(signal: &[f32], count: usize) -> Vec<f32> {
    let mut padded = vec![0.0; signal.len() + 2 * count];
    padded[count..count + signal.len()].copy_from_slice(signal);
    padded
}

/// `signal` mirrored about its first and last sample for `count` samples on both sides, over and over when it is short.
pub fn pad_reflect(signal: &[f32], count: usize) -> Vec<f32> {
    let Some(last) = signal.len().checked_sub(1) else { return vec![0.0; 2 * count] };
    let period = (2 * last).max(1);
    let mirrored = |distance: usize| {
        let position = distance % period;
        signal[position.min(2 * last - position)]
    };
    let head = (1..=count).rev().map(mirrored);
    let tail = (last + 1..=last + count).map(mirrored);
    head.chain(signal.iter().copied()).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_undoes_forward() {
        for n_fft in [16, 15, 400] {
            let stft = Stft::new(n_fft, 4);
            let mut scratch = stft.scratch();
            let frame: Vec<f32> = (0..n_fft).map(|n| ((n * n) % 17) as f32 - 8.0).collect();
            stft.forward(&frame, &mut scratch);
            let mut back = vec![0.0; n_fft];
            stft.inverse(&mut scratch, &mut back);
            for ((x, weight), y) in frame.iter().zip(stft.window()).zip(&back) {
                assert!((x * weight - y / n_fft as f32).abs() < 1e-5, "n_fft {n_fft}: {x} {y}");
            }
        }
    }

    #[test]
    fn what_follows_a_short_window_does_not_count() {
        let [long, short] = [Stft::new(8, 4), Stft::with_window(16, 8, 4)];
        let frame: Vec<f32> = (0..16).map(|n| ((n * n) % 7) as f32).collect();
        let (mut eight, mut sixteen) = (long.scratch(), short.scratch());
        long.forward(&frame[..8], &mut eight);
        short.forward(&frame, &mut sixteen);
        // Twice as many bins: every second is one of the shorter transform.
        for (bin, expected) in eight.spectrum.iter().enumerate() {
            assert!((sixteen.spectrum[2 * bin] - expected).norm() < 1e-5);
        }
    }

    #[test]
    fn reflection_does_not_repeat_the_edge() {
        assert_eq!(pad_reflect(&[1.0, 2.0, 3.0], 2), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        assert_eq!(pad_reflect(&[1.0, 2.0], 3), [2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0]);
        assert_eq!(pad_reflect(&[5.0], 2), [5.0; 5]);
        assert_eq!(pad_reflect(&[], 2), [0.0; 4]);
    }

    #[test]
    fn counts_whole_frames() {
        let stft = Stft::new(8, 4);
        assert_eq!([0, 7, 8, 11, 12].map(|length| stft.frames(length)), [0, 0, 1, 1, 2]);
    }
}
