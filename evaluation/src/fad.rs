//! The Fréchet audio distance of sets of clips: whole, with its uncertainty, and song by song.

use rayon::prelude::*;

use crate::{Bootstrap, Draws, Embeddings, FrechetError, Gaussian, Interval};

/// Where the distance of a set probably is: the reference stays, the clips are drawn again.
pub fn frechet_interval(
    reference: &Gaussian,
    generated: &Embeddings,
    estimate: f64,
    bootstrap: &Bootstrap,
) -> Option<Interval> {
    let clip_of = generated.clip_of_frames();
    let draws = Draws::of(generated.vectors());
    let interval = bootstrap.interval(generated.clips(), estimate, |times| {
        draws.gaussian(|row| times[clip_of[row]]).ok()?.frechet_distance(reference).ok()
    });
    interval.map(|interval| interval.within(0.0..=f64::INFINITY))
}

/// The distance of every clip alone, in the order of the set (Gui and others, 2024, §4; fadtk's `--indiv`).
///
/// A clip usually has fewer vectors than dimensions: its covariance is never made, see [`Gaussian::of`]. A clip of one vector
/// has no distance.
pub fn per_song(reference: &Gaussian, generated: &Embeddings) -> Vec<Result<f64, FrechetError>> {
    (0..generated.clips())
        .into_par_iter()
        .map(|clip| Gaussian::of(generated.clip(clip))?.frechet_distance(reference))
        .collect()
}
