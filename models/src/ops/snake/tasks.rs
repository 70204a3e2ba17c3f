use rayon::prelude::*;

use super::strip::STRIP;
use crate::ops::fresh::{Fresh, fresh};

/// Results that are one task where a channel has so many.
const STRETCH: usize = 16 * STRIP;

/// Makes `rows` signals of `time` samples on all threads, in stretches that begin where strips do. `fill` writes the one of
/// that row and start; what it returns comes back in the order of the stretches.
///
/// # Panics
///
/// If `fill` leaves a part of a stretch unwritten.
pub(super) fn in_stretches<R: Send>(
    rows: usize,
    time: usize,
    fill: impl Fn(usize, usize, &mut Fresh) -> R + Sync,
) -> (Vec<f32>, Vec<R>) {
    fresh(rows * time, |mut all| {
        let starts = (0..rows).flat_map(|row| (0..time).step_by(STRETCH).map(move |start| (row, start)));
        let stretches: Vec<_> =
            starts.map(|(row, start)| (row, start, all.split_off(STRETCH.min(time - start)))).collect();
        let work = |(row, start, mut stretch)| fill(row, start, &mut stretch);
        // Short ones share a task: waking a thread takes longer.
        stretches.into_par_iter().with_min_len(STRETCH.div_ceil(time)).map(work).collect()
    })
}
