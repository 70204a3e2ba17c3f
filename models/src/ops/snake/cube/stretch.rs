//! How signals are cut for a GPU, and what both ways have in common.
//!
//! `CubeCL`'s convolutions lay a signal's channels side by side, `[batch, time, channel]`, and so does this operation: threads
//! beside each other work on channels beside each other. Each goes along a stretch of its channel, round after round; what the
//! filters reach back to stays in its registers, from twice `REACH` before a round's first sample of a phase on. The phases
//! and their sums are those of the strips on the CPU (`strip.rs`).

use cubecl::prelude::*;

use super::super::signals::{ROUND, Signals};
use super::super::strip::{HALF, REACH, TAPS};

/// Threads of a block.
pub(super) const UNITS: usize = 128;

/// Of samples, those that stay and those of a round.
pub(super) const SPAN: usize = 2 * REACH + ROUND;

/// A thread for each stretch of every signal.
pub(super) fn grid(signals: Signals) -> (CubeCount, CubeDim) {
    let blocks = (signals.stretches() * signals.channels).div_ceil(UNITS);
    (CubeCount::Static(blocks as u32, signals.batch as u32, 1), CubeDim::new_1d(UNITS as u32))
}

/// The number of a thread among those of an item of the batch.
#[cube]
pub(super) fn number() -> u32 {
    CUBE_POS_X * UNITS as u32 + UNIT_POS
}

/// A filter's taps, times `gain`.
#[cube]
pub(super) fn taps(filter: &[f32], #[comptime] gain: f32) -> Array<f32> {
    let mut taps = Array::<f32>::new(TAPS);
    #[unroll]
    for index in 0..TAPS {
        taps[index] = filter[index] * gain;
    }
    taps
}

/// One channel of a tensor `[batch, time, channel]`.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Channel {
    /// Where it begins.
    first: usize,
    /// From one sample to the next.
    stride: usize,
}

/// Channel `number` of this item of the batch, of a tensor of these strides.
#[cube]
pub(super) fn channel(number: u32, of_batch: usize, of_time: usize, of_channel: usize) -> Channel {
    Channel { first: CUBE_POS_Y as usize * of_batch + number as usize * of_channel, stride: of_time }
}

#[cube]
impl Channel {
    /// Where its sample of `place` is.
    pub fn at(&self, place: i32) -> usize {
        self.first + place as usize * self.stride
    }
}

/// Reads `count` samples from `place` on behind those that stay; beyond the ends stand the first and the last, or zeros.
#[cube]
pub(super) fn read(
    signals: &Tensor<f32>,
    channel: &Channel,
    place: i32,
    window: &mut Array<f32>,
    #[comptime] from: usize,
    #[comptime] count: usize,
    #[comptime] held: bool,
) {
    let last = signals.shape(1) as i32 - 1;
    #[unroll]
    for index in 0..count {
        let place = place + index as i32;
        let inside = clamp(place, 0, last);
        let value = signals[channel.at(inside)];
        window[from + index] = if comptime!(held) { value } else { select(place == inside, value, 0.0f32) };
    }
}

/// Keeps what the next round reaches back to.
#[cube]
pub(super) fn keep(samples: &mut Array<f32>) {
    #[unroll]
    for index in 0..2 * REACH {
        samples[index] = samples[index + ROUND];
    }
}

/// A sample of the doubled rate, of the window from `place` on.
#[cube]
pub(super) fn doubled(window: &Array<f32>, taps: &Array<f32>, #[comptime] place: usize, #[comptime] odd: bool) -> f32 {
    let odd = comptime!(usize::from(odd));
    let mut sum = 0.0f32;
    #[unroll]
    for tap in 0..HALF {
        sum = fma(window[place + odd + tap], taps[TAPS - 1 - odd - 2 * tap], sum);
    }
    sum
}

/// Samples of both phases.
#[derive(CubeType)]
pub(super) struct Phases {
    pub even: Array<f32>,
    pub odd: Array<f32>,
}

#[cube]
impl Phases {
    pub fn new() -> Phases {
        Phases { even: Array::<f32>::new(SPAN), odd: Array::<f32>::new(SPAN) }
    }

    /// A result.
    pub fn halved(&self, taps: &Array<f32>, #[comptime] index: usize) -> f32 {
        let mut sum = 0.0f32;
        #[unroll]
        for tap in 0..HALF {
            sum = fma(self.even[index + 1 + tap], taps[2 * tap + 1], sum);
        }
        #[unroll]
        for tap in 0..HALF {
            sum = fma(self.odd[index + tap], taps[2 * tap], sum);
        }
        sum
    }

    /// Keeps what the next round reaches back to.
    pub fn keep(&mut self) {
        keep(&mut self.even);
        keep(&mut self.odd);
    }
}
