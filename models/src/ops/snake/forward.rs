//! The activation itself: strip after strip of every channel, without a signal in between.

use super::Filters;
use super::sine::Snake;
use super::strip::{Phases, Place, STRIP, Taps, Window};
use super::tasks::in_stretches;
use crate::ops::fresh::Fresh;
use crate::ops::simd::vectorised;

/// # Shapes
///
/// `[batch, channel, time]`, `[channel]` twice → the same as the first
pub(super) fn forward(time: usize, input: &[f32], [alpha, beta]: [&[f32]; 2], filters: &Filters) -> Vec<f32> {
    let (up, down) = (Taps::upwards(&filters[0], 2.0), Taps::downwards(&filters[1], 1.0));
    let (output, _) = in_stretches(input.len() / time, time, |row, start, output| {
        let channel = row % alpha.len();
        let snake = Snake::new(alpha[channel], beta[channel]);
        let signal = &input[row * time..][..time];
        vectorised(
            #[inline(always)]
            || stretch(snake, [&up, &down], signal, start, output),
        );
    });
    output
}

/// The results from `start` on, as many as there is room for.
#[inline(always)]
fn stretch(snake: Snake, [up, down]: [&Taps; 2], signal: &[f32], start: usize, output: &mut Fresh) {
    let (mut window, mut phases) = (Window::EMPTY, Phases::ZERO);
    for start in (start..start + output.room()).step_by(STRIP) {
        let place = Place { time: signal.len(), start };
        window.read(place, signal, [signal[0], signal[signal.len() - 1]]);
        if snake.is_near(window.largest() * up.gain()) {
            phases.fill(place, &window, up, |value| snake.at::<false>(value));
        } else {
            phases.fill(place, &window, up, |value| snake.at::<true>(value));
        }
        phases.hold_ends(place);
        phases.append_to(place, down, output);
    }
}
