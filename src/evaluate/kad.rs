//! Distances that look at vectors, not at their statistics: KAD, KID, and how two sets lie in each other.

use nocturne_evaluation::{Interval, KAD_SCALE, Kernel, KernelDistance, Manifolds, NEAREST, median_distance};
use serde::Serialize;
use serde_json::{Value, json};

use super::{EvaluateError, Keep, Loader, OnProgress, Report, Set, Sets};

/// A metric of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum VectorMetric {
    /// The kernel audio distance.
    Kad,
    /// The kernel distance of images' KID, over all vectors.
    Kid,
    /// Precision, recall, density and coverage.
    Prdc,
}

/// Whose median distance is the bandwidth of KAD's kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Bandwidth {
    /// The reference's, as its authors describe it: all sets are then measured with one kernel.
    #[default]
    Reference,
    /// The generated set's, as their toolkit (kadtk) does it.
    Generated,
}

/// What is made.
#[derive(Clone, Debug, PartialEq)]
pub struct KadOptions {
    /// In this order.
    pub metrics: Vec<VectorMetric>,
    /// Of KAD.
    pub bandwidth: Bandwidth,
}

/// The metrics of all generated sets against all references under all models.
pub fn kad(sets: &Sets, options: &KadOptions, progress: &mut OnProgress) -> Result<Report, EvaluateError> {
    let models = sets.models();
    let report = Report::new(json!({
        "command": "kad",
        "models": models,
        "metrics": options.metrics,
        "bandwidth": options.bandwidth,
        "profile": sets.hearing.profile,
        "bootstrap": sets.bootstrap,
    }));
    let loader = Loader::new(sets.hearing, &models);
    sets.compare(&loader, [Keep::Vectors; 2], report, progress, |pair, report| {
        for metric in &options.metrics {
            let numbers = numbers(sets, pair.reference, pair.generated, *metric, options.bandwidth)?;
            let rows = numbers
                .into_iter()
                .map(|(metric, value, interval, details)| pair.row(metric, value, interval, details));
            report.results.extend(rows);
        }
        Ok(())
    })
}

type Number = (&'static str, f64, Option<Interval>, Value);

fn numbers(
    sets: &Sets,
    reference: &Set,
    generated: &Set,
    metric: VectorMetric,
    bandwidth: Bandwidth,
) -> Result<Vec<Number>, EvaluateError> {
    let (theirs, ours) = (reference.vectors("a kernel distance")?, generated.vectors("a kernel distance")?);
    let too_few = |metric, expected| EvaluateError::TooFewVectors {
        path: generated.provenance.path.clone(),
        metric,
        found: theirs.frames().min(ours.frames()),
        expected,
    };
    match metric {
        VectorMetric::Kad => {
            let of = if bandwidth == Bandwidth::Reference { theirs } else { ours };
            let bandwidth = median_distance(of.vectors()).ok_or_else(|| too_few("KAD", 1))?;
            let distance = KernelDistance::new(theirs, ours, Kernel::Gaussian { bandwidth });
            let distance = distance.ok_or_else(|| too_few("KAD", 1))?;
            let interval = distance.interval(&sets.bootstrap).map(|interval| Interval {
                low: KAD_SCALE * interval.low,
                high: KAD_SCALE * interval.high,
                standard_error: KAD_SCALE * interval.standard_error,
            });
            Ok(vec![("kad", KAD_SCALE * distance.value(), interval, json!({ "bandwidth": bandwidth }))])
        }
        VectorMetric::Kid => {
            let distance = KernelDistance::new(theirs, ours, Kernel::Cubic).ok_or_else(|| too_few("KID", 1))?;
            Ok(vec![("kid", distance.value(), distance.interval(&sets.bootstrap), Value::Null)])
        }
        VectorMetric::Prdc => {
            let manifolds = Manifolds::new(theirs, ours, NEAREST).ok_or_else(|| too_few("prdc", NEAREST))?;
            let (scores, intervals) = (manifolds.scores(), manifolds.intervals(&sets.bootstrap));
            let details = json!({ "nearest": NEAREST });
            Ok(vec![
                ("precision", scores.precision, intervals.precision, details.clone()),
                ("recall", scores.recall, intervals.recall, details.clone()),
                ("density", scores.density, intervals.density, details.clone()),
                ("coverage", scores.coverage, intervals.coverage, details),
            ])
        }
    }
}
