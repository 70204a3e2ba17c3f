//! Phase reconstruction by fast Griffin-Lim.
//!
//! Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm" (WASPAA 2013), with the definition of
//! `librosa.griffinlim`: centred frames over zero padding, momentum on the rebuilt spectrum.

use ndarray::ArrayView2;
use nocturne_models::random::Random;
use rayon::prelude::*;
use realfft::num_complex::Complex;

use crate::mel::{Stft, StftScratch};

/// Frames that one task handles, with one scratch.
const FRAMES_PER_TASK: usize = 8;

/// Samples of overlap-add that one task handles.
const SAMPLES_PER_TASK: usize = 4096;

/// How long and how boldly to search for phases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GriffinLim {
    /// Rounds of inverting and transforming again.
    pub iterations: usize,
    /// The acceleration: 0 is the method of Griffin and Lim (1984), values near 1 converge fastest.
    pub momentum: f32,
}

impl Default for GriffinLim {
    fn default() -> Self {
        Self { iterations: 32, momentum: 0.99 }
    }
}

/// The phases to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All zero, librosa's `init=None`.
    Zero,
    /// Uniformly random. Each frame has a stream of its own.
    Random {
        /// The seed of all streams.
        seed: u64,
    },
}

impl GriffinLim {
    /// The signal whose transform by `stft` has about the given magnitudes.
    ///
    /// The result does not depend on the number of threads.
    ///
    /// # Shapes
    /// `magnitude`: `[bin, frame]` with `n_fft / 2 + 1` bins and at least one frame; the result: `(frame - 1) *
    /// hop_length` samples.
    pub fn audio(&self, stft: &Stft, magnitude: ArrayView2<f32>, phase: Phase) -> Vec<f32> {
        let (bins, frames) = magnitude.dim();
        assert!(
            bins == stft.bins() && frames > 0,
            "a spectrum of {bins} bins and {frames} frames, expected {} bins and at least one frame",
            stft.bins()
        );
        let mut search = Search::new(stft, magnitude);
        search.begin(phase);
        for _ in 0..self.iterations {
            search.overlap_add();
            search.update(self.momentum / (1.0 + self.momentum));
        }
        search.overlap_add();
        search.finish()
    }
}

/// All memory of one reconstruction; iterations allocate nothing. Arrays of frames are frame after frame.
struct Search<'a> {
    stft: &'a Stft,
    magnitude: Vec<f32>,
    /// The spectrum rebuilt in the last iteration, for the momentum.
    previous: Vec<Complex<f32>>,
    /// Inverted, windowed frames that wait for their overlap-add.
    pieces: Vec<f32>,
    /// The signal between two times `n_fft / 2` zeros.
    padded: Vec<f32>,
    /// What each padded sample is multiplied by after overlap-add.
    gains: Vec<f32>,
    tasks: Vec<StftScratch>,
}

impl<'a> Search<'a> {
    fn new(stft: &'a Stft, magnitude: ArrayView2<f32>) -> Self {
        let (bins, frames) = magnitude.dim();
        let length = stft.n_fft() + (frames - 1) * stft.hop_length();
        Self {
            stft,
            magnitude: magnitude.t().iter().copied().collect(),
            previous: vec![Complex::default(); bins * frames],
            pieces: vec![0.0; stft.n_fft() * frames],
            padded: vec![0.0; length],
            gains: overlap_gains(stft, frames),
            tasks: vec![stft.scratch(); frames.div_ceil(FRAMES_PER_TASK)],
        }
    }

    /// Inverts the magnitudes with the first phases.
    fn begin(&mut self, phase: Phase) {
        let Self { stft, magnitude, pieces, tasks, .. } = self;
        let (bins, n_fft) = (stft.bins(), stft.n_fft());
        tasks
            .par_iter_mut()
            .zip(pieces.par_chunks_mut(n_fft * FRAMES_PER_TASK))
            .zip(magnitude.par_chunks(bins * FRAMES_PER_TASK))
            .enumerate()
            .for_each(|(task, ((scratch, pieces), magnitude))| {
                let frames = pieces.chunks_exact_mut(n_fft).zip(magnitude.chunks_exact(bins));
                for (index, (piece, magnitude)) in frames.enumerate() {
                    match phase {
                        Phase::Zero => {
                            for (bin, value) in scratch.spectrum.iter_mut().zip(magnitude) {
                                *bin = Complex::new(*value, 0.0);
                            }
                        }
                        Phase::Random { seed } => {
                            let frame = task * FRAMES_PER_TASK + index;
                            let mut random = Random::new(seed, "griffin-lim phase", frame as u64);
                            for (bin, value) in scratch.spectrum.iter_mut().zip(magnitude) {
                                let angle = random.next_u32() as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
                                *bin = Complex::new(value * libm::cosf(angle), value * libm::sinf(angle));
                            }
                        }
                    }
                    invert(stft, scratch, piece);
                }
            });
    }

    /// Adds the pieces up into the signal.
    fn overlap_add(&mut self) {
        let Self { stft, pieces, padded, gains, .. } = self;
        let (n_fft, hop) = (stft.n_fft(), stft.hop_length());
        let (margin, length) = (n_fft / 2, padded.len());
        padded[margin..length - (n_fft - margin)]
            .par_chunks_mut(SAMPLES_PER_TASK)
            .zip(gains[margin..length - (n_fft - margin)].par_chunks(SAMPLES_PER_TASK))
            .enumerate()
            .for_each(|(task, (signal, gains))| {
                signal.fill(0.0);
                let start = margin + task * SAMPLES_PER_TASK;
                let end = start + signal.len();
                let first_frame = (start + 1).saturating_sub(n_fft).div_ceil(hop);
                for (frame, piece) in pieces.chunks_exact(n_fft).enumerate().skip(first_frame) {
                    let offset = frame * hop;
                    if offset >= end {
                        break;
                    }
                    let (from, to) = (offset.max(start), (offset + n_fft).min(end));
                    let sum = &mut signal[from - start..to - start];
                    for (sample, addend) in sum.iter_mut().zip(&piece[from - offset..to - offset]) {
                        *sample += addend;
                    }
                }
                for (sample, gain) in signal.iter_mut().zip(gains) {
                    *sample *= gain;
                }
            });
    }

    /// Transforms the signal, takes the phases of the rebuilt spectrum less `momentum` times the one before, and
    /// inverts them with the wanted magnitudes.
    fn update(&mut self, momentum: f32) {
        let Self { stft, magnitude, previous, pieces, padded, tasks, .. } = self;
        let (bins, n_fft, hop) = (stft.bins(), stft.n_fft(), stft.hop_length());
        tasks
            .par_iter_mut()
            .zip(pieces.par_chunks_mut(n_fft * FRAMES_PER_TASK))
            .zip(previous.par_chunks_mut(bins * FRAMES_PER_TASK))
            .zip(magnitude.par_chunks(bins * FRAMES_PER_TASK))
            .enumerate()
            .for_each(|(task, (((scratch, pieces), previous), magnitude))| {
                let frames = pieces
                    .chunks_exact_mut(n_fft)
                    .zip(previous.chunks_exact_mut(bins))
                    .zip(magnitude.chunks_exact(bins));
                for (index, ((piece, previous), magnitude)) in frames.enumerate() {
                    let start = (task * FRAMES_PER_TASK + index) * hop;
                    stft.forward(&padded[start..start + n_fft], scratch);
                    project(&mut scratch.spectrum, previous, magnitude, momentum);
                    invert(stft, scratch, piece);
                }
            });
    }

    fn finish(self) -> Vec<f32> {
        let Self { stft, mut padded, .. } = self;
        let margin = stft.n_fft() / 2;
        padded.truncate(padded.len() - (stft.n_fft() - margin));
        padded.drain(..margin);
        padded
    }
}

/// Gives `rebuilt` less `momentum` times `previous` the wanted magnitudes; `previous` becomes `rebuilt`.
fn project(rebuilt: &mut [Complex<f32>], previous: &mut [Complex<f32>], magnitude: &[f32], momentum: f32) {
    for ((bin, previous), wanted) in rebuilt.iter_mut().zip(previous).zip(magnitude) {
        let (re, im) = (bin.re - momentum * previous.re, bin.im - momentum * previous.im);
        *previous = *bin;
        let scale = wanted / ((re * re + im * im).sqrt() + f32::MIN_POSITIVE);
        *bin = Complex::new(re * scale, im * scale);
    }
}

/// The windowed inverse of `scratch.spectrum`, still `n_fft` times too large.
fn invert(stft: &Stft, scratch: &mut StftScratch, piece: &mut [f32]) {
    stft.inverse(scratch, piece);
    for (sample, weight) in piece.iter_mut().zip(stft.window()) {
        *sample *= weight;
    }
}

/// One over `n_fft` and over the sum of squared windows at each padded sample; the latter left out where the sum is zero.
fn overlap_gains(stft: &Stft, frames: usize) -> Vec<f32> {
    let (n_fft, hop) = (stft.n_fft(), stft.hop_length());
    let mut gains = vec![0.0; n_fft + (frames - 1) * hop];
    for frame in 0..frames {
        for (sum, weight) in gains[frame * hop..].iter_mut().zip(stft.window()) {
            *sum += weight * weight;
        }
    }
    for gain in &mut gains {
        *gain = if *gain > f32::MIN_POSITIVE { 1.0 / (*gain * n_fft as f32) } else { 1.0 / n_fft as f32 };
    }
    gains
}
