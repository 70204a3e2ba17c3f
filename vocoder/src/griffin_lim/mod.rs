//! Phase reconstruction by fast Griffin-Lim.
//!
//! Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm" (WASPAA 2013), with the definition of
//! `librosa.griffinlim`: centred frames over zero padding, momentum on the rebuilt spectrum.
//!
//! A spectrum less a part of the one before is the spectrum of a signal less that part of the signal before: the momentum is on
//! the signal here, which is `2 * n_fft / hop_length` times smaller.

mod pair;
mod phase;

use ndarray::ArrayView2;
use nocturne_models::ops::vectorised;
use nocturne_models::random::Random;
use rayon::prelude::*;
use realfft::num_complex::Complex;

use crate::mel::Stft;
use pair::{PairScratch, Pairs};
use phase::on_circle;

/// Frames that one task handles, two by two.
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
            search.overlap_add(self.momentum / (1.0 + self.momentum));
            search.update();
        }
        search.overlap_add(0.0);
        search.finish()
    }
}

/// All memory of one reconstruction; iterations allocate nothing.
struct Search<'a> {
    stft: &'a Stft,
    pairs: Pairs<'a>,
    /// Frame after frame.
    magnitude: Vec<f32>,
    /// For each task the sum of its inverted, windowed frames.
    strips: Vec<f32>,
    /// The signal that is transformed next, between two times `n_fft / 2` zeros.
    padded: Vec<f32>,
    /// The signal of the last iteration, for the momentum.
    previous: Vec<f32>,
    /// What each padded sample is multiplied by after overlap-add.
    gains: Vec<f32>,
    tasks: Vec<PairScratch>,
}

impl<'a> Search<'a> {
    fn new(stft: &'a Stft, magnitude: ArrayView2<f32>) -> Self {
        let frames = magnitude.ncols();
        let length = stft.n_fft() + (frames - 1) * stft.hop_length();
        let tasks = frames.div_ceil(FRAMES_PER_TASK);
        let pairs = Pairs::new(stft);
        Self {
            stft,
            magnitude: magnitude.t().iter().copied().collect(),
            strips: vec![0.0; strip_length(stft) * tasks],
            padded: vec![0.0; length],
            previous: vec![0.0; length],
            gains: overlap_gains(stft, frames),
            tasks: vec![pairs.scratch(); tasks],
            pairs,
        }
    }

    /// Inverts the magnitudes with the first phases.
    fn begin(&mut self, phase: Phase) {
        let first_phases = |_: &Pairs, frame: usize, magnitude: [&[f32]; 2], scratch: &mut PairScratch| match phase {
            Phase::Zero => Pairs::join(|bin| magnitude.map(|frame| Complex::new(frame[bin], 0.0)), scratch),
            Phase::Random { seed } => {
                let stream = |frame: usize| Random::new(seed, "griffin-lim phase", frame as u64);
                let mut streams = [stream(frame), stream(frame + 1)];
                let bins = |bin: usize| {
                    let mut next = |index: usize| {
                        let [cosine, sine] = on_circle(streams[index].next_u32());
                        Complex::new(magnitude[index][bin] * cosine, magnitude[index][bin] * sine)
                    };
                    [next(0), next(1)]
                };
                Pairs::join(bins, scratch);
            }
        };
        self.each_pair(first_phases);
    }

    /// Adds the strips up into a signal, and takes from it `momentum` times the one before.
    fn overlap_add(&mut self, momentum: f32) {
        let Self { stft, strips, padded, previous, gains, .. } = self;
        let (n_fft, strip_length) = (stft.n_fft(), strip_length(stft));
        let (margin, length) = (n_fft / 2, padded.len());
        let within = margin..length - (n_fft - margin);
        let step = FRAMES_PER_TASK * stft.hop_length();
        padded[within.clone()]
            .par_chunks_mut(SAMPLES_PER_TASK)
            .zip(previous[within.clone()].par_chunks_mut(SAMPLES_PER_TASK))
            .zip(gains[within].par_chunks(SAMPLES_PER_TASK))
            .enumerate()
            .for_each(|(task, ((signal, previous), gains))| {
                signal.fill(0.0);
                let start = margin + task * SAMPLES_PER_TASK;
                let end = start + signal.len();
                let first_strip = (start + 1).saturating_sub(strip_length).div_ceil(step);
                for (index, strip) in strips.chunks_exact(strip_length).enumerate().skip(first_strip) {
                    let offset = index * step;
                    if offset >= end {
                        break;
                    }
                    let (from, to) = (offset.max(start), (offset + strip_length).min(end));
                    let sum = &mut signal[from - start..to - start];
                    for (sample, addend) in sum.iter_mut().zip(&strip[from - offset..to - offset]) {
                        *sample += addend;
                    }
                }
                vectorised(
                    #[inline(always)]
                    || {
                        for ((sample, previous), gain) in signal.iter_mut().zip(previous).zip(gains) {
                            let now = *sample * gain;
                            *sample = now - momentum * *previous;
                            *previous = now;
                        }
                    },
                );
            });
    }

    /// Transforms the signal, takes the phases of its spectrum, and inverts them with the wanted magnitudes.
    fn update(&mut self) {
        let (hop, n_fft) = (self.stft.hop_length(), self.stft.n_fft());
        let padded = std::mem::take(&mut self.padded);
        self.each_pair(|pairs, frame, magnitude, scratch| {
            let at = |frame: usize| &padded[(frame * hop).min(padded.len() - n_fft)..][..n_fft];
            pairs.forward([at(frame), at(frame + 1)], scratch);
            Pairs::set_magnitudes(magnitude, scratch);
        });
        self.padded = padded;
    }

    /// Has `spectra(plans, frame, magnitudes, scratch)` put the spectra of every frame and the next into the scratch, and inverts
    /// them. Beyond the last frame there is one whose inverse is dropped; it has the magnitudes of the last.
    fn each_pair(&mut self, spectra: impl Fn(&Pairs, usize, [&[f32]; 2], &mut PairScratch) + Sync) {
        let Self { stft, pairs, magnitude, strips, tasks, .. } = self;
        let (bins, hop) = (stft.bins(), stft.hop_length());
        tasks
            .par_iter_mut()
            .zip(strips.par_chunks_mut(strip_length(stft)))
            .zip(magnitude.par_chunks(bins * FRAMES_PER_TASK))
            .enumerate()
            .for_each(|(task, ((scratch, strip), magnitude))| {
                strip.fill(0.0);
                for (pair, magnitude) in magnitude.chunks(2 * bins).enumerate() {
                    let (first, second) = magnitude.split_at(bins);
                    let both = [first, if second.is_empty() { first } else { second }];
                    spectra(pairs, task * FRAMES_PER_TASK + 2 * pair, both, scratch);
                    let offset = 2 * pair * hop;
                    pairs.add_inverse(scratch, strip, offset, (!second.is_empty()).then_some(offset + hop));
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

/// Samples that the frames of a task cover.
fn strip_length(stft: &Stft) -> usize {
    stft.n_fft() + (FRAMES_PER_TASK - 1) * stft.hop_length()
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
