//! The gradients of the activation, in the same strips: the signals of the doubled rate are made again.

use super::Filters;
use super::sine::Snake;
use super::strip::{Phases, Place, REACH, STRIP, Taps, Window};
use super::tasks::in_stretches;
use crate::ops::fresh::Fresh;
use crate::ops::simd::{sum_of_pairs, vectorised};

/// The gradients of the input, of alpha and of beta.
pub(super) struct Gradients {
    pub input: Vec<f32>,
    pub alpha: Vec<f32>,
    pub beta: Vec<f32>,
}

/// # Shapes
///
/// gradient of the output and input `[batch, channel, time]`, `[channel]` twice
pub(super) fn backward(
    time: usize,
    gradient: &[f32],
    input: &[f32],
    [alpha, beta]: [&[f32]; 2],
    filters: &Filters,
) -> Gradients {
    let ways = Ways::new(filters);
    let rows = input.len() / time;
    let (of_input, sums) = in_stretches(rows, time, |row, start, output| {
        let channel = row % alpha.len();
        let snake = Snake::new(alpha[channel], beta[channel]);
        let [signal, gradient] = [input, gradient].map(|values| &values[row * time..][..time]);
        vectorised(
            #[inline(always)]
            || stretch(snake, &ways, signal, gradient, start, output),
        )
    });
    let mut totals = vec![[0.0f64; 2]; alpha.len()];
    for (row, sums) in sums.chunks_exact(sums.len() / rows).enumerate() {
        let total = &mut totals[row % alpha.len()];
        for sums in sums {
            *total = [total[0] + sums[0], total[1] + sums[1]];
        }
    }
    let [alpha, beta] = [0, 1].map(|index| totals.iter().map(|total| total[index] as f32).collect());
    Gradients { input: of_input, alpha, beta }
}

/// The filters on the way to the doubled rate and back, for the signal and for gradients: each is the transpose of the
/// other's other way.
struct Ways {
    up: Taps,
    gradient_up: Taps,
    gradient_down: Taps,
}

impl Ways {
    fn new([up, down]: &Filters) -> Self {
        Self {
            up: Taps::upwards(up, 2.0),
            gradient_up: Taps::upwards(down, 1.0),
            gradient_down: Taps::downwards(up, 2.0),
        }
    }
}

/// The gradient of the input from `start` on, as much as there is room for; returns what alpha and beta have from there.
#[inline(always)]
fn stretch(snake: Snake, ways: &Ways, signal: &[f32], gradient: &[f32], start: usize, output: &mut Fresh) -> [f64; 2] {
    let (mut window, mut gradient_window) = (Window::EMPTY, Window::EMPTY);
    let (mut values, mut gradients, mut terms) = (Phases::ZERO, Phases::ZERO, Phases::ZERO);
    let mut sums = [0.0; 2];
    for start in (start..start + output.room()).step_by(STRIP) {
        let place = Place { time: signal.len(), start };
        window.read(place, signal, [signal[0], signal[signal.len() - 1]]);
        gradient_window.read(place, gradient, [0.0; 2]);
        values.fill(place, &window, &ways.up, |value| value);
        gradients.fill(place, &gradient_window, &ways.gradient_up, |value| value);
        gradients.gather_ends(place);
        let near = snake.is_near(window.largest() * ways.up.gain());
        for (values, gradients, terms) in [
            (&mut values.even, &mut gradients.even, &mut terms.even),
            (&mut values.odd, &mut gradients.odd, &mut terms.odd),
        ] {
            if near {
                through::<false>(snake, values, gradients, terms);
            } else {
                through::<true>(snake, values, gradients, terms);
            }
            let own = REACH..REACH + place.results();
            for (sum, terms) in sums.iter_mut().zip([&values[own.clone()], &terms[own]]) {
                *sum += f64::from(sum_of_pairs(terms, terms, |term, _| term));
            }
        }
        gradients.append_to(place, &ways.gradient_down, output);
        let (results, reach) = (place.results() as isize, REACH as isize);
        if start == 0 {
            output.written()[0] += gradients.sum_beyond(-reach..0, &ways.gradient_down);
        }
        if output.room() == 0 && start + place.results() == signal.len() {
            let last = output.written().last_mut().expect("a result");
            *last += gradients.sum_beyond(results..results + reach, &ways.gradient_down);
        }
    }
    sums
}

/// The gradients of a snake's input in place of those of its output; what each adds to that of alpha in place of the value, to
/// that of beta in `terms`.
#[inline(always)]
fn through<const FAR: bool>(snake: Snake, values: &mut [f32], gradients: &mut [f32], terms: &mut [f32]) {
    for ((value, gradient), term) in values.iter_mut().zip(gradients).zip(terms) {
        let slopes = snake.slopes::<FAR>(*value);
        (*value, *term) = (*gradient * slopes.alpha, *gradient * slopes.beta);
        *gradient *= slopes.input;
    }
}
