//! A stretch of one channel at the doubled rate, no longer than stays in the first-level cache.
//!
//! Sample 2t of the doubled rate is number t of the even ones, sample 2t + 1 number t of the odd ones. Each filter falls
//! into two of half its taps: with w the filter upwards and d the one downwards,
//!
//! even\[t\] = 2 Σ w\[2j + 1\] · x\[t + 2 − j\], odd\[t\] = 2 Σ w\[2j\] · x\[t + 3 − j\],
//!
//! y\[t\] = Σ d\[2j + 1\] · even\[t − 2 + j\] + d\[2j\] · odd\[t − 3 + j\],
//!
//! over j from 0 to 5. Before the first sample stands the first, behind the last one the last, at either rate. Gradients take
//! the same ways with the filters exchanged.

use std::ops::Range;

use crate::ops::fresh::Fresh;
use crate::ops::simd::maximum;

/// Taps of either filter.
pub(super) const TAPS: usize = 12;

/// Taps of one phase of it.
pub(super) const HALF: usize = TAPS / 2;

/// By how many samples of one phase either filter reaches to each side.
pub(super) const REACH: usize = HALF / 2;

/// Results of one strip.
pub(super) const STRIP: usize = 1024;

/// Values that are worked on at once: whole vectors of every instruction set.
const BLOCK: usize = 32;

/// Samples of one phase that are read for a strip.
const LONGEST: usize = (STRIP + 2 * REACH).next_multiple_of(BLOCK);

/// Where a strip lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Of the whole signal.
    pub time: usize,
    /// Of the first result.
    pub start: usize,
}

impl Place {
    /// How many results there are.
    pub fn results(self) -> usize {
        STRIP.min(self.time - self.start)
    }

    /// Samples of one phase that they read.
    fn samples(self) -> usize {
        self.results() + 2 * REACH
    }

    /// Which of them is the signal's first one, if any.
    pub fn first(self) -> Option<usize> {
        (self.start == 0).then_some(REACH)
    }

    /// Which of them is the signal's last one, if any.
    pub fn last(self) -> Option<usize> {
        let last = self.time - 1 - self.start + REACH;
        (last < self.samples()).then_some(last)
    }
}

/// A signal's samples around a strip, from twice `REACH` before its first result on.
#[derive(Debug)]
pub(super) struct Window([f32; LONGEST + 2 * REACH]);

impl Window {
    pub const EMPTY: Self = Self([0.0; LONGEST + 2 * REACH]);

    /// Reads a strip's part of `signal`, with `before` and `behind` beyond its ends.
    #[inline(always)]
    pub fn read(&mut self, place: Place, signal: &[f32], [before, behind]: [f32; 2]) {
        let ahead = (2 * REACH).saturating_sub(place.start);
        let from = (place.start + ahead) - 2 * REACH;
        let count = (signal.len() - from).min(self.0.len() - ahead);
        self.0[..ahead].fill(before);
        self.0[ahead..ahead + count].copy_from_slice(&signal[from..from + count]);
        self.0[ahead + count..].fill(behind);
    }

    /// The largest magnitude, but for NaNs.
    #[inline(always)]
    pub fn largest(&self) -> f32 {
        let mut lanes = [0.0f32; BLOCK];
        let rest = self.0.last_chunk::<BLOCK>().expect("as many");
        for block in self.0.as_chunks::<BLOCK>().0.iter().chain([rest]) {
            for lane in 0..BLOCK {
                let value = block[lane].abs();
                lanes[lane] = if value > lanes[lane] { value } else { lanes[lane] };
            }
        }
        maximum(&lanes)
    }
}

/// A value for each sample of both phases, from `REACH` before a strip's first result on.
#[derive(Clone, Debug)]
pub(super) struct Phases {
    pub even: [f32; LONGEST],
    pub odd: [f32; LONGEST],
}

/// Both phases' taps of a filter, in the order in which they meet samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taps {
    even: [f32; HALF],
    odd: [f32; HALF],
}

impl Taps {
    /// To make a signal of twice the rate: a filter's taps come backwards.
    pub fn upwards(filter: &[f32; TAPS], gain: f32) -> Self {
        let phase = |first: usize| std::array::from_fn(|tap| gain * filter[first - 2 * tap]);
        Self { even: phase(TAPS - 1), odd: phase(TAPS - 2) }
    }

    /// To make a signal of half the rate.
    pub fn downwards(filter: &[f32; TAPS], gain: f32) -> Self {
        let phase = |first: usize| std::array::from_fn(|tap| gain * filter[first + 2 * tap]);
        Self { even: phase(1), odd: phase(0) }
    }

    /// By how much one phase enlarges a signal at most.
    pub fn gain(&self) -> f32 {
        let sum = |taps: [f32; HALF]| taps.iter().map(|tap| tap.abs()).sum::<f32>();
        sum(self.even).max(sum(self.odd))
    }
}

impl Phases {
    pub const ZERO: Self = Self { even: [0.0; LONGEST], odd: [0.0; LONGEST] };

    /// `change` of every sample of the doubled rate.
    #[inline(always)]
    pub fn fill(&mut self, place: Place, window: &Window, taps: &Taps, change: impl Fn(f32) -> f32) {
        let even = self.even.as_chunks_mut::<BLOCK>().0;
        let odd = self.odd.as_chunks_mut::<BLOCK>().0;
        let blocks = place.samples().div_ceil(BLOCK);
        for (block, (even, odd)) in even.iter_mut().zip(odd).take(blocks).enumerate() {
            let window: &[f32; BLOCK + 2 * REACH] = window.0[block * BLOCK..].first_chunk().expect("as many");
            for lane in 0..BLOCK {
                even[lane] = change(filtered(window, lane, &taps.even, 0.0));
                odd[lane] = change(filtered(window, lane + 1, &taps.odd, 0.0));
            }
        }
    }

    /// Repeats the first and the last sample of the signal beyond its ends.
    #[inline(always)]
    pub fn hold_ends(&mut self, place: Place) {
        let Self { even, odd } = self;
        if let Some(first) = place.first() {
            let value = even[first];
            even[..first].fill(value);
            odd[..first].fill(value);
        }
        if let Some(last) = place.last() {
            let value = odd[last];
            even[last + 1..].fill(value);
            odd[last + 1..].fill(value);
        }
    }

    /// Adds what stands beyond the signal's ends to its first and last sample, as gradients of repeated samples are added.
    #[inline(always)]
    pub fn gather_ends(&mut self, place: Place) {
        let Self { even, odd } = self;
        if let Some(first) = place.first() {
            even[first] += sum_of(&even[..first], &odd[..first]);
            even[..first].fill(0.0);
            odd[..first].fill(0.0);
        }
        if let Some(last) = place.last() {
            let beyond = last + 1..=last + REACH;
            odd[last] += sum_of(&even[beyond.clone()], &odd[beyond]);
            even[last + 1..].fill(0.0);
            odd[last + 1..].fill(0.0);
        }
    }

    /// Appends the strip's results to `output`.
    #[inline(always)]
    pub fn append_to(&self, place: Place, taps: &Taps, output: &mut Fresh) {
        let results = place.results();
        for start in (0..results).step_by(BLOCK) {
            let even: &[f32; BLOCK + 2 * REACH] = self.even[start..].first_chunk().expect("as many");
            let odd: &[f32; BLOCK + 2 * REACH] = self.odd[start..].first_chunk().expect("as many");
            let result = |lane| filtered(odd, lane, &taps.odd, filtered(even, lane + 1, &taps.even, 0.0));
            if results - start >= BLOCK {
                output.append((0..BLOCK).map(result));
            } else {
                output.append((0..results - start).map(result));
            }
        }
    }

    /// The sum of the results at `places`, which lie beyond the signal's ends; those of the strip are counted from zero.
    pub fn sum_beyond(&self, places: Range<isize>, taps: &Taps) -> f32 {
        let product = |values: &[f32], taps: &[f32; HALF], place: isize| {
            let inside = |tap: usize| usize::try_from(place + tap as isize).ok().and_then(|index| values.get(index));
            (0..HALF).filter_map(|tap| Some(taps[tap] * inside(tap)?)).sum::<f32>()
        };
        places.map(|place| product(&self.even, &taps.even, place + 1) + product(&self.odd, &taps.odd, place)).sum()
    }
}

fn sum_of(even: &[f32], odd: &[f32]) -> f32 {
    even.iter().chain(odd).sum()
}

/// `from` and the products of `taps` and the values from `place` on.
#[inline(always)]
fn filtered(values: &[f32; BLOCK + 2 * REACH], place: usize, taps: &[f32; HALF], from: f32) -> f32 {
    let mut sum = from;
    for (tap, weight) in taps.iter().enumerate() {
        sum = values[place + tap].mul_add(*weight, sum);
    }
    sum
}
