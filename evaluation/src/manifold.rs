//! Precision, recall, density and coverage: two sets by the balls around their vectors.

use rayon::prelude::*;
use serde::Serialize;

use crate::pairs::Vectors;
use crate::{Bootstrap, Embeddings, Interval};

/// By which neighbour a ball is as wide as it is: the fifth, as published.
pub const NEAREST: usize = 5;

/// Both sets' vectors, each with what it adds to the four numbers.
///
/// Precision and recall: Kynkäänniemi and others, "Improved precision and recall metric for assessing generative models", 2019.
/// Density and coverage: Naeem and others, "Reliable fidelity and diversity metrics for generative models", 2020.
#[derive(Clone, Debug)]
pub struct Manifolds {
    /// By generated vector: in a reference ball (0 or 1), and in how many, divided by k.
    generated: Vec<[f64; 2]>,
    generated_clips: Vec<usize>,
    /// By reference vector: in a generated ball, and with a generated vector in its own.
    reference: Vec<[f64; 2]>,
    reference_clips: Vec<usize>,
    clips: [usize; 2],
}

/// The four numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ManifoldScores<T> {
    /// The share of generated vectors that are near the reference.
    pub precision: T,
    /// The share of reference vectors that are near the generated ones.
    pub recall: T,
    /// In how many reference balls a generated vector is, over k; may be above 1.
    pub density: T,
    /// The share of reference vectors with a generated one in their ball.
    pub coverage: T,
}

impl Manifolds {
    /// With balls out to the `nearest`-th other vector; nothing where a set has no more vectors than that.
    ///
    /// # Panics
    /// When the dimensions differ.
    pub fn new(reference: &Embeddings, generated: &Embeddings, nearest: usize) -> Option<Self> {
        assert_eq!(reference.dim(), generated.dim(), "sets of different dimensions");
        if nearest == 0 || reference.frames() <= nearest || generated.frames() <= nearest {
            return None;
        }
        let (theirs, ours) = (Vectors::new(reference.vectors()), Vectors::new(generated.vectors()));
        let (their_radii, our_radii) = (radii(&theirs, nearest), radii(&ours, nearest));
        let in_balls = each(&ours, &theirs, [0.0; 2], |state, _, j, squared| {
            if squared < their_radii[j] {
                *state = [1.0, state[1] + 1.0 / nearest as f64];
            }
        });
        let covered = each(&theirs, &ours, [0.0; 2], |state, i, j, squared| {
            if squared < our_radii[j] {
                state[0] = 1.0;
            }
            if squared < their_radii[i] {
                state[1] = 1.0;
            }
        });
        Some(Self {
            generated: in_balls,
            generated_clips: generated.clip_of_frames(),
            reference: covered,
            reference_clips: reference.clip_of_frames(),
            clips: [generated.clips(), reference.clips()],
        })
    }

    /// The four numbers.
    pub fn scores(&self) -> ManifoldScores<f64> {
        self.both(|values, clips, which, count| mean(values, clips, which, &vec![1; count]).unwrap_or(f64::NAN))
    }

    /// Where they probably are. The balls stay; of the vectors that are counted, which are the generated ones of precision and
    /// density and the reference's of recall and coverage, the clips are drawn again.
    pub fn intervals(&self, bootstrap: &Bootstrap) -> ManifoldScores<Option<Interval>> {
        let ManifoldScores { precision, density, recall, coverage } = self.both(|values, clips, which, count| {
            let estimate = mean(values, clips, which, &vec![1; count])?;
            bootstrap.interval(count, estimate, |times| mean(values, clips, which, times))
        });
        let share = |interval: Option<Interval>| interval.map(|interval| interval.within(0.0..=1.0));
        let density = density.map(|interval| interval.within(0.0..=f64::INFINITY));
        ManifoldScores { precision: share(precision), density, recall: share(recall), coverage: share(coverage) }
    }

    fn both<T>(&self, of: impl Fn(&[[f64; 2]], &[usize], usize, usize) -> T) -> ManifoldScores<T> {
        let generated = |which| of(&self.generated, &self.generated_clips, which, self.clips[0]);
        let reference = |which| of(&self.reference, &self.reference_clips, which, self.clips[1]);
        ManifoldScores { precision: generated(0), density: generated(1), recall: reference(0), coverage: reference(1) }
    }
}

fn mean(values: &[[f64; 2]], clips: &[usize], which: usize, times: &[u32]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for (value, clip) in values.iter().zip(clips) {
        let weight = f64::from(times[*clip]);
        sum += weight * value[which];
        count += weight;
    }
    (count > 0.0).then(|| sum / count)
}

/// Squared distances to each vector's `nearest`-th other one.
fn radii(vectors: &Vectors, nearest: usize) -> Vec<f64> {
    let closest = each(vectors, vectors, Vec::with_capacity(nearest + 1), |closest: &mut Vec<f64>, i, j, squared| {
        if i != j && (closest.len() < nearest || closest.last().is_some_and(|last| squared < *last)) {
            let place = closest.partition_point(|other| *other <= squared);
            closest.insert(place, squared);
            closest.truncate(nearest);
        }
    });
    closest.into_iter().map(|closest| closest.last().copied().unwrap_or(0.0)).collect()
}

/// What every one of `vectors` gathers from all of `others`.
fn each<T: Clone + Send + Sync>(
    vectors: &Vectors,
    others: &Vectors,
    empty: T,
    gather: impl Fn(&mut T, usize, usize, f64) + Sync,
) -> Vec<T> {
    let blocks: Vec<Vec<T>> = vectors
        .blocks()
        .into_par_iter()
        .map(|start| {
            let mut states = vec![empty.clone(); vectors.block_len(start)];
            vectors.against(start, others, 0, |i, j, squared, _| gather(&mut states[i - start], i, j, squared));
            states
        })
        .collect();
    blocks.into_iter().flatten().collect()
}
