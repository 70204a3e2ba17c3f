//! Where samples stand repeated beyond a signal's ends, their gradients are added to those of the first and the last one.

use cubecl::prelude::*;

use super::super::strip::{HALF, REACH, TAPS};
use super::stretch::Phases;

/// Adds the gradients before the beginning, the first `REACH`, to that of the first sample of the doubled rate.
#[cube]
pub(super) fn gather_beginning(phases: &mut Phases) {
    let mut first = phases.even[REACH];
    #[unroll]
    for index in 0..REACH {
        first += phases.even[index] + phases.odd[index];
        phases.even[index] = 0.0f32;
        phases.odd[index] = 0.0f32;
    }
    phases.even[REACH] = first;
}

/// Adds the gradients behind the end to that of the last sample of the doubled rate, should it be among the `count` samples
/// behind the first `from`, which are counted from `place` on; `window` is what they were made from.
#[cube]
pub(super) fn gather_end(
    phases: &mut Phases,
    window: &Array<f32>,
    taps: &Array<f32>,
    place: i32,
    time: i32,
    #[comptime] from: usize,
    #[comptime] count: usize,
) {
    if place + comptime!((from + count) as i32) >= time {
        #[unroll]
        for index in 0..count {
            let place = place + comptime!((from + index) as i32);
            if place + 1 == time {
                phases.odd[from + index] += behind(window, taps, index);
            }
            phases.even[from + index] = select(place < time, phases.even[from + index], 0.0f32);
            phases.odd[from + index] = select(place < time, phases.odd[from + index], 0.0f32);
        }
    }
}

/// The sum of the samples of the doubled rate that are behind the last one, which has the window from `place` on.
#[cube]
fn behind(window: &Array<f32>, taps: &Array<f32>, #[comptime] place: usize) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for sample in 0..REACH {
        #[unroll]
        for odd in 0..2usize {
            #[unroll]
            for tap in 0..HALF {
                if comptime!(sample + odd + tap < REACH) {
                    sum = fma(window[place + 1 + sample + odd + tap], taps[TAPS - 1 - odd - 2 * tap], sum);
                }
            }
        }
    }
    sum
}

/// The sum of the results before the beginning.
#[cube]
pub(super) fn results_before(phases: &Phases, taps: &Array<f32>) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for result in 0..REACH {
        #[unroll]
        for tap in 0..HALF {
            if comptime!(result + tap + 1 >= 2 * REACH) {
                sum = fma(phases.even[result + tap + 1 - REACH], taps[2 * tap + 1], sum);
            }
            if comptime!(result + tap >= 2 * REACH) {
                sum = fma(phases.odd[result + tap - REACH], taps[2 * tap], sum);
            }
        }
    }
    sum
}

/// The sum of the results behind the last one, the one of that index.
#[cube]
pub(super) fn results_behind(phases: &Phases, taps: &Array<f32>, #[comptime] last: usize) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for result in 0..REACH {
        #[unroll]
        for tap in 0..HALF {
            if comptime!(result + tap + 1 < REACH) {
                sum = fma(phases.even[last + result + tap + 2], taps[2 * tap + 1], sum);
            }
            if comptime!(result + tap < REACH) {
                sum = fma(phases.odd[last + result + tap + 1], taps[2 * tap], sum);
            }
        }
    }
    sum
}
