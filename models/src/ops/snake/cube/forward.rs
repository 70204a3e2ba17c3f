//! The activation itself.

use cubecl::prelude::*;

use super::super::signals::{ROUND, Signals};
use super::super::strip::REACH;
use super::stretch::{Phases, SPAN, channel, doubled, grid, keep, number, read, taps};
use super::wave::{Snake, snake, value};

/// `[batch, time, channel]`, `[channel]` twice, `[taps]` twice → the same as the first
#[cube(launch_unchecked, address_type = "dynamic")]
fn snake_forward(
    input: &Tensor<f32>,
    alpha: &[f32],
    beta: &[f32],
    up_filter: &[f32],
    down_filter: &[f32],
    output: &mut Tensor<f32>,
    rounds: u32,
) {
    let (channels, time) = (input.shape(2) as u32, input.shape(1) as i32);
    let thread = number();
    let start = (thread / channels * rounds * ROUND as u32) as i32;
    if start >= time {
        terminate!();
    }
    let number = thread % channels;
    let snake = snake(alpha[number as usize], beta[number as usize]);
    let from = channel(number, input.stride(0), input.stride(1), input.stride(2));
    let to = channel(number, output.stride(0), output.stride(1), output.stride(2));
    let (up, down) = (taps(up_filter, 2.0f32), taps(down_filter, 1.0f32));
    let mut window = Array::<f32>::new(SPAN);
    let mut phases = Phases::new();

    // What the first round reaches back to.
    read(input, &from, start - 2 * REACH as i32, &mut window, 0usize, 4 * REACH, true);
    through(&mut phases, &window, &snake, &up, 0usize, 2 * REACH);
    if start == 0 {
        #[unroll]
        for index in 0..REACH {
            phases.even[index] = phases.even[REACH];
            phases.odd[index] = phases.even[REACH];
        }
    }
    hold_end(&mut phases, start - REACH as i32, time, 1usize, 2 * REACH - 1);
    #[unroll]
    for index in 0..2 * REACH {
        window[index] = window[index + 2 * REACH];
    }

    let mut round = 0u32;
    let mut place = start;
    while round < rounds && place < time {
        read(input, &from, place + 2 * REACH as i32, &mut window, 2 * REACH, ROUND, true);
        through(&mut phases, &window, &snake, &up, 2 * REACH, ROUND);
        hold_end(&mut phases, place - REACH as i32, time, 2 * REACH, ROUND);
        #[unroll]
        for index in 0..ROUND {
            if place + (index as i32) < time {
                output[to.at(place + index as i32)] = phases.halved(&down, index);
            }
        }
        keep(&mut window);
        phases.keep();
        place += ROUND as i32;
        round += 1;
    }
}

/// Makes `count` samples of both phases, behind those that stay.
#[cube]
fn through(
    phases: &mut Phases,
    window: &Array<f32>,
    snake: &Snake,
    up: &Array<f32>,
    #[comptime] from: usize,
    #[comptime] count: usize,
) {
    #[unroll]
    for index in 0..count {
        phases.even[from + index] = value(snake, doubled(window, up, index, false));
        phases.odd[from + index] = value(snake, doubled(window, up, index, true));
    }
}

/// Repeats the last sample of the doubled rate beyond the end, in `count` samples behind the first `from`, which are counted
/// from `place` on.
#[cube]
fn hold_end(phases: &mut Phases, place: i32, time: i32, #[comptime] from: usize, #[comptime] count: usize) {
    if place + comptime!((from + count) as i32) > time {
        #[unroll]
        for index in from..from + count {
            let inside = place + (index as i32) < time;
            let last = phases.odd[index - 1];
            phases.odd[index] = select(inside, phases.odd[index], last);
            phases.even[index] = select(inside, phases.even[index], last);
        }
    }
}

/// Writes the activation of `input` into `output`.
///
/// # Shapes
///
/// `[batch, time, channel]`, `[channel]` twice, `[taps]` twice → the same as the first
pub(super) fn forward(
    client: &Client,
    (signals, address): (Signals, AddressType),
    input: TensorArg,
    [alpha, beta]: [BufferArg; 2],
    [up, down]: [BufferArg; 2],
    output: TensorArg,
) {
    let (blocks, units) = grid(signals);
    let rounds = signals.rounds() as u32;
    // SAFETY: every index is a sample's, a channel's, or one of 24 taps'; the caller answers for the shapes.
    unsafe {
        snake_forward::launch_unchecked(client, blocks, units, address, input, alpha, beta, up, down, output, rounds);
    }
}
