//! The gradients of the activation: the signals of the doubled rate are made again. What each thread has for alpha and beta is
//! added up in one order, so that a seed gives one result.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::super::signals::{ROUND, Signals};
use super::super::strip::REACH;
use super::ends::{gather_beginning, gather_end, results_before, results_behind};
use super::stretch::{Phases, SPAN, UNITS, channel, doubled, grid, keep, number, read, taps};
use super::wave::{Snake, slopes, snake};

/// Values that one thread adds up.
const GROUP: usize = 128;

/// What alpha and beta have from a thread's samples.
#[derive(CubeType)]
struct Sums {
    alpha: f32,
    beta: f32,
}

/// Gradient of the output and input `[batch, time, channel]`, `[channel]` twice, `[taps]` twice → as the input; of alpha and beta,
/// what they have from each stretch, `[batch, stretch, channel]`
#[cube(launch_unchecked, address_type = "dynamic")]
fn snake_backward(
    gradient: &Tensor<f32>,
    input: &Tensor<f32>,
    alpha: &[f32],
    beta: &[f32],
    up_filter: &[f32],
    down_filter: &[f32],
    of_input: &mut Tensor<f32>,
    of_alpha: &mut [f32],
    of_beta: &mut [f32],
    rounds: u32,
    stretches: u32,
) {
    let (channels, time) = (input.shape(2) as u32, input.shape(1) as i32);
    let thread = number();
    let stretch = thread / channels;
    if stretch >= stretches {
        terminate!();
    }
    let number = thread % channels;
    let snake = snake(alpha[number as usize], beta[number as usize]);
    let from = channel(number, input.stride(0), input.stride(1), input.stride(2));
    let of_gradient = channel(number, gradient.stride(0), gradient.stride(1), gradient.stride(2));
    let to = channel(number, of_input.stride(0), of_input.stride(1), of_input.stride(2));
    let (up, gradient_up) = (taps(up_filter, 2.0f32), taps(down_filter, 1.0f32));
    let mut window = Array::<f32>::new(SPAN);
    let mut gradients = Array::<f32>::new(SPAN);
    let mut phases = Phases::new();
    let mut sums = Sums { alpha: 0.0f32, beta: 0.0f32 };

    // What the first round reaches back to.
    let start = (stretch * rounds * ROUND as u32) as i32;
    let end = start + (rounds * ROUND as u32) as i32;
    let before = start - 2 * REACH as i32;
    read(input, &from, before, &mut window, 0usize, 4 * REACH, true);
    read(gradient, &of_gradient, before, &mut gradients, 0usize, 4 * REACH, false);
    rise(&mut phases, &gradients, &gradient_up, 0usize, 2 * REACH);
    gather_end(&mut phases, &gradients, &gradient_up, start - REACH as i32, time, 0usize, 2 * REACH);
    if start == 0 {
        gather_beginning(&mut phases);
    }
    // Samples before the stretch, and those behind, are another thread's to count.
    through(&mut phases, &window, &snake, &up, &mut sums, 0usize, 2 * REACH, false, true);
    let mut beyond = 0.0f32;
    if start == 0 {
        beyond = results_before(&phases, &up);
    }
    #[unroll]
    for index in 0..2 * REACH {
        window[index] = window[index + 2 * REACH];
        gradients[index] = gradients[index + 2 * REACH];
    }

    let mut place = start;
    while place < end && place < time {
        let ahead = place + 2 * REACH as i32;
        read(input, &from, ahead, &mut window, 2 * REACH, ROUND, true);
        read(gradient, &of_gradient, ahead, &mut gradients, 2 * REACH, ROUND, false);
        rise(&mut phases, &gradients, &gradient_up, 2 * REACH, ROUND);
        gather_end(&mut phases, &gradients, &gradient_up, place - REACH as i32, time, 2 * REACH, ROUND);
        let counted = place + (ROUND as i32) < end;
        through(&mut phases, &window, &snake, &up, &mut sums, 2 * REACH, ROUND, true, counted);
        #[unroll]
        for index in 0..ROUND {
            let place = place + index as i32;
            if place < time {
                let mut result = phases.halved(&up, index);
                if comptime!(index == 0) {
                    result += beyond;
                }
                if place + 1 == time {
                    result += results_behind(&phases, &up, index);
                }
                of_input[to.at(place)] = result;
            }
        }
        beyond = 0.0f32;
        keep(&mut window);
        keep(&mut gradients);
        phases.keep();
        place += ROUND as i32;
    }
    let stretch = (CUBE_POS_Y as usize * stretches as usize) * channels as usize + thread as usize;
    of_alpha[stretch] = sums.alpha;
    of_beta[stretch] = sums.beta;
}

/// Makes the gradients of `count` samples of both phases, behind those that stay.
#[cube]
fn rise(
    phases: &mut Phases,
    gradients: &Array<f32>,
    gradient_up: &Array<f32>,
    #[comptime] from: usize,
    #[comptime] count: usize,
) {
    #[unroll]
    for index in 0..count {
        phases.even[from + index] = doubled(gradients, gradient_up, index, false);
        phases.odd[from + index] = doubled(gradients, gradient_up, index, true);
    }
}

/// Makes them those of the snake's input, and adds what alpha and beta have from them: from the first `REACH` of them if
/// `first`, from the last if `last`, and from those between.
#[cube]
fn through(
    phases: &mut Phases,
    window: &Array<f32>,
    snake: &Snake,
    up: &Array<f32>,
    sums: &mut Sums,
    #[comptime] from: usize,
    #[comptime] count: usize,
    first: bool,
    last: bool,
) {
    #[unroll]
    for index in 0..count {
        let even = slopes(snake, doubled(window, up, index, false));
        let odd = slopes(snake, doubled(window, up, index, true));
        let (of_even, of_odd) = (phases.even[from + index], phases.odd[from + index]);
        let mut alpha = fma(of_even, even.alpha, of_odd * odd.alpha);
        let mut beta = fma(of_even, even.beta, of_odd * odd.beta);
        if comptime!(index < REACH) {
            alpha = select(first, alpha, 0.0f32);
            beta = select(first, beta, 0.0f32);
        }
        if comptime!(index + REACH >= count) {
            alpha = select(last, alpha, 0.0f32);
            beta = select(last, beta, 0.0f32);
        }
        sums.alpha += alpha;
        sums.beta += beta;
        phases.even[from + index] = of_even * even.input;
        phases.odd[from + index] = of_odd * odd.input;
    }
}

/// The sums of each `GROUP` rows of two tables of so many columns.
#[cube(launch_unchecked, address_type = "dynamic")]
fn snake_sums(alpha: &[f32], beta: &[f32], alpha_sums: &mut [f32], beta_sums: &mut [f32], rows: u32, columns: u32) {
    let thread = number();
    let first = thread / columns * GROUP as u32;
    if first >= rows {
        terminate!();
    }
    let mut sums = Sums { alpha: 0.0f32, beta: 0.0f32 };
    let mut place = first as usize * columns as usize + (thread % columns) as usize;
    for _ in 0..min(GROUP as u32, rows - first) {
        sums.alpha += alpha[place];
        sums.beta += beta[place];
        place += columns as usize;
    }
    alpha_sums[thread as usize] = sums.alpha;
    beta_sums[thread as usize] = sums.beta;
}

/// A buffer of so many values.
fn values(buffer: &Handle, count: usize) -> BufferArg {
    // SAFETY: every buffer here was made for as many values as are stated.
    unsafe { BufferArg::from_raw_parts(buffer.clone(), count) }
}

/// Writes the gradient of `input` into `of_input`, and returns those of alpha and beta.
///
/// # Shapes
///
/// gradient of the output and input `[batch, time, channel]`, `[channel]` twice, `[taps]` twice → as the input and the vectors
pub(super) fn backward(
    client: &Client,
    (signals, address): (Signals, AddressType),
    [gradient, input]: [TensorArg; 2],
    [alpha, beta]: [BufferArg; 2],
    [up, down]: [BufferArg; 2],
    of_input: TensorArg,
) -> [Handle; 2] {
    let columns = signals.channels;
    let mut rows = signals.batch * signals.stretches();
    let tables = |rows: usize| [(); 2].map(|()| client.empty(rows * columns * size_of::<f32>()));
    let mut parts = tables(rows);
    let (blocks, units) = grid(signals);
    let [of_alpha, of_beta] = parts.each_ref().map(|part| values(part, rows * columns));
    let [rounds, stretches] = [signals.rounds(), signals.stretches()].map(|count| count as u32);
    // SAFETY: every index is a sample's, a channel's, a stretch's, or one of 24 taps'; the caller answers for the shapes.
    unsafe {
        snake_backward::launch_unchecked(
            client, blocks, units, address, gradient, input, alpha, beta, up, down, of_input, of_alpha, of_beta,
            rounds, stretches,
        );
    }
    while rows > 1 {
        let fewer = rows.div_ceil(GROUP);
        let sums = tables(fewer);
        let [alpha, beta] = parts.each_ref().map(|part| values(part, rows * columns));
        let [alpha_sums, beta_sums] = sums.each_ref().map(|part| values(part, fewer * columns));
        let blocks = CubeCount::Static((fewer * columns).div_ceil(UNITS) as u32, 1, 1);
        let address = AddressType::from_len(rows * columns);
        // SAFETY: every index is that of a row and a column.
        unsafe {
            snake_sums::launch_unchecked(
                client,
                blocks,
                units,
                address,
                alpha,
                beta,
                alpha_sums,
                beta_sums,
                rows as u32,
                columns as u32,
            );
        }
        (parts, rows) = (sums, fewer);
    }
    parts
}
