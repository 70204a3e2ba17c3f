//! A snake's wave and its slopes, as on the CPU (`sine.rs`): sin(πf) needs only the distance f to the nearest half turn.

use cubecl::prelude::*;

/// 1/π and what that leaves.
const TURNS: [f32; 2] = [std::f32::consts::FRAC_1_PI, 1.284_127_7e-8];

/// The largest f that the polynomials are asked for. Up to a million half turns, f comes no further; beyond, where neighbouring
/// values are an eighth of one apart and more, the wave is cut off there.
const FURTHEST: f32 = 0.625;

/// The snake of one channel.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Snake {
    alpha: f32,
    /// alpha / π, and what that leaves.
    frequency: f32,
    rest: f32,
    /// 1 / (beta + 1e-9)
    amplitude: f32,
}

/// The snake's slopes at one value.
#[derive(CubeType)]
pub(super) struct Slopes {
    pub input: f32,
    pub alpha: f32,
    pub beta: f32,
}

#[cube]
pub(super) fn snake(alpha: f32, beta: f32) -> Snake {
    let frequency = alpha * TURNS[0];
    Snake {
        alpha,
        frequency,
        rest: fma(alpha, TURNS[0], -frequency) + alpha * TURNS[1],
        amplitude: 1.0 / (beta + 1e-9),
    }
}

/// alpha · x / π less the nearest whole number.
#[cube]
fn distance(snake: &Snake, x: f32) -> f32 {
    let turns = (x * snake.frequency).round();
    fma(x, snake.rest, fma(x, snake.frequency, -turns))
}

/// sin(πf) / f by f².
#[cube]
fn sine(square: f32) -> f32 {
    let series = fma(square, 0.077_560_39f32, -0.598_242_1f32);
    let series = fma(square, series, 2.550_069_8f32);
    let series = fma(square, series, -5.167_71f32);
    fma(square, series, std::f32::consts::PI)
}

/// cos(πf) by f².
#[cube]
fn cosine(square: f32) -> f32 {
    let series = fma(square, -0.024_396_716f32, 0.234_937_56f32);
    let series = fma(square, series, -1.335_212_1f32);
    let series = fma(square, series, 4.058_709f32);
    let series = fma(square, series, -4.934_802f32);
    fma(square, series, 1.0f32)
}

/// The snake's value.
#[cube]
pub(super) fn value(snake: &Snake, x: f32) -> f32 {
    let distance = distance(snake, x);
    let square = min(distance * distance, FURTHEST * FURTHEST);
    let sine = sine(square);
    fma(sine * sine, square * snake.amplitude, x)
}

#[cube]
pub(super) fn slopes(snake: &Snake, x: f32) -> Slopes {
    let distance = clamp(distance(snake, x), -FURTHEST, FURTHEST);
    let square = distance * distance;
    let sine = distance * sine(square);
    // Both change sign from one half turn to the next, which no product shows.
    let double = 2.0 * sine * cosine(square) * snake.amplitude;
    let wave = sine * snake.amplitude;
    Slopes { input: fma(double, snake.alpha, 1.0f32), alpha: double * x, beta: -wave * wave }
}
