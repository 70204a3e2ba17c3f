//! Distances that look at vectors, not at their statistics: KAD, KID, and how two sets lie in each other.

use nocturne_evaluation::{Interval, KAD_SCALE, Kernel, KernelDistance, Manifolds, NEAREST, median_distance};
use serde::Serialize;
use serde_json::{Value, json};

use super::{EvaluateError, Keep, OnProgress, Report, Row, Set, Sets, same_dimension};

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
    let mut report = Report::new(json!({
        "command": "kad",
        "models": models,
        "metrics": options.metrics,
        "bandwidth": options.bandwidth,
        "profile": sets.profile,
        "bootstrap": sets.bootstrap,
    }));
    for model in &models {
        let loader = sets.loader(model, false);
        let mut references = Vec::new();
        for path in sets.references {
            references.push(loader.load(path, Keep::Vectors, |done, of| progress(path, done, of))?);
        }
        for path in sets.generated {
            let set = loader.load(path, Keep::Vectors, |done, of| progress(path, done, of))?;
            for reference in &references {
                same_dimension(&reference.provenance, &set.provenance)?;
                for metric in &options.metrics {
                    let numbers = numbers(sets, reference, &set, *metric, options.bandwidth)?;
                    report.results.extend(numbers.into_iter().map(|(metric, value, interval, details)| Row {
                        model: model.clone(),
                        metric,
                        value,
                        interval,
                        reference: reference.provenance.path.clone(),
                        generated: path.clone(),
                        clips: set.provenance.clips,
                        vectors: set.provenance.vectors,
                        details,
                    }));
                }
            }
            report.generated.push(set.provenance);
        }
        report.references.extend(references.into_iter().map(|set| set.provenance));
    }
    Ok(report)
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
