//! Scores over what a classifier hears: the Kullback-Leibler divergence between paired clips, and the Inception score.

use ndarray::{Array1, ArrayView1, ArrayView2, Axis};
use serde::Serialize;
use thiserror::Error;

use crate::{Bootstrap, Interval};

/// What keeps the logarithm of an unheard class finite, in all three published toolkits.
const EPSILON: f64 = 1e-6;

/// Predictions that cannot be compared.
#[derive(Debug, PartialEq, Error)]
pub enum ClassesError {
    /// Another number of classes or of segments.
    #[error("{what}: found {found}, expected {expected}")]
    Shape {
        /// What differs.
        what: &'static str,
        /// The generated clip's.
        found: usize,
        /// The reference clip's.
        expected: usize,
    },
    /// Nothing to average.
    #[error("no predictions")]
    Empty,
    /// NaN or infinity.
    #[error("a prediction that is not finite")]
    NotFinite,
}

/// Which of the two is the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// KL(reference ‖ generated): audiocraft and `audioldm_eval`.
    ReferenceToGenerated,
    /// KL(generated ‖ reference): stable-audio-metrics.
    GeneratedToReference,
}

/// How a clip's segments become one prediction. `audioldm_eval` hears a clip whole: one segment, and all three are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Not at all: each segment is an item of its own (audiocraft).
    Segments,
    /// The mean of the logits (stable-audio-metrics).
    MeanLogits,
    /// The largest of the logits, class by class (stable-audio-metrics' other choice).
    MaxLogits,
}

/// Σ t (ln t − ln (p + 1e-6)): how badly `prediction` tells `truth`.
///
/// # Shapes
/// - truth, prediction: `[class]`, probabilities
pub fn kl_divergence(truth: ArrayView1<f64>, prediction: ArrayView1<f64>) -> f64 {
    let terms = truth.iter().zip(prediction).filter(|(truth, _)| **truth > 0.0);
    terms.map(|(truth, prediction)| truth * (truth.ln() - (prediction + EPSILON).ln())).sum()
}

/// The probabilities of exclusive classes.
///
/// # Shapes
/// - logits, output: `[class]`
pub fn softmax(logits: ArrayView1<f32>) -> Array1<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.mapv(|logit| f64::from(logit - largest).exp());
    let sum = powers.sum();
    powers / sum
}

/// The divergence of one pair of clips: one value, or with [`Pooling::Segments`] one a segment.
///
/// # Shapes
/// - reference, generated: `[segment, class]`, logits
pub fn clip_divergence(
    reference: ArrayView2<f32>,
    generated: ArrayView2<f32>,
    pooling: Pooling,
    direction: Direction,
) -> Result<Vec<f64>, ClassesError> {
    let (expected, found) = (reference.ncols(), generated.ncols());
    if found != expected {
        return Err(ClassesError::Shape { what: "classes", found, expected });
    }
    if reference.is_empty() || generated.is_empty() {
        return Err(ClassesError::Empty);
    }
    if reference.iter().chain(generated).any(|logit| !logit.is_finite()) {
        return Err(ClassesError::NotFinite);
    }
    let pooled = |logits: ArrayView2<f32>| -> Vec<Array1<f64>> {
        let one = |of: &dyn Fn(ArrayView1<f32>) -> f32| vec![softmax(logits.map_axis(Axis(0), of).view())];
        match pooling {
            Pooling::Segments => logits.outer_iter().map(softmax).collect(),
            Pooling::MeanLogits => one(&|lane| lane.sum() / lane.len() as f32),
            Pooling::MaxLogits => one(&|lane| lane.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
        }
    };
    let (reference, generated) = (pooled(reference), pooled(generated));
    let (expected, found) = (reference.len(), generated.len());
    if found != expected {
        return Err(ClassesError::Shape { what: "segments", found, expected });
    }
    let pairs = reference.iter().zip(&generated);
    Ok(pairs
        .map(|(reference, generated)| match direction {
            Direction::ReferenceToGenerated => kl_divergence(reference.view(), generated.view()),
            Direction::GeneratedToReference => kl_divergence(generated.view(), reference.view()),
        })
        .collect())
}

/// The mean over all items of all clips, and where it probably is. No items have none.
///
/// `clips` are the items of each clip: divergences, cosines, …
pub fn mean_over_clips(clips: &[Vec<f64>], bootstrap: &Bootstrap) -> Option<(f64, Option<Interval>)> {
    let mean = |times: &[u32]| {
        let (mut sum, mut count) = (0.0, 0.0);
        for (items, times) in clips.iter().zip(times) {
            sum += f64::from(*times) * items.iter().sum::<f64>();
            count += f64::from(*times) * items.len() as f64;
        }
        (count > 0.0).then(|| sum / count)
    };
    let value = mean(&vec![1; clips.len()])?;
    Some((value, bootstrap.interval(clips.len(), value, mean)))
}

/// The Inception score (Salimans and others, "Improved techniques for training GANs", 2016) of one split:
/// exp of the mean KL(p(class | clip) ‖ p(class)).
///
/// # Shapes
/// - probabilities: `[clip, class]`
pub fn inception_score(probabilities: ArrayView2<f64>) -> Result<f64, ClassesError> {
    if probabilities.iter().any(|value| !value.is_finite()) {
        return Err(ClassesError::NotFinite);
    }
    weighted_inception_score(probabilities, &vec![1; probabilities.nrows()]).ok_or(ClassesError::Empty)
}

/// Where the Inception score probably is.
///
/// # Shapes
/// - probabilities: `[clip, class]`
pub fn inception_score_interval(probabilities: ArrayView2<f64>, bootstrap: &Bootstrap) -> Option<Interval> {
    let score = inception_score(probabilities).ok()?;
    let interval =
        bootstrap.interval(probabilities.nrows(), score, |times| weighted_inception_score(probabilities, times));
    interval.map(|interval| interval.within(1.0..=probabilities.ncols() as f64))
}

fn weighted_inception_score(probabilities: ArrayView2<f64>, times: &[u32]) -> Option<f64> {
    let count: f64 = times.iter().map(|times| f64::from(*times)).sum();
    if count == 0.0 {
        return None;
    }
    let mut marginal = Array1::<f64>::zeros(probabilities.ncols());
    for (row, times) in probabilities.outer_iter().zip(times) {
        marginal.scaled_add(f64::from(*times) / count, &row);
    }
    let mut divergence = 0.0;
    for (row, times) in probabilities.outer_iter().zip(times).filter(|(_, times)| **times > 0) {
        let terms = row.iter().zip(&marginal).filter(|(p, _)| **p > 0.0);
        divergence += f64::from(*times) * terms.map(|(p, marginal)| p * (p.ln() - marginal.ln())).sum::<f64>();
    }
    Some((divergence / count).exp())
}
