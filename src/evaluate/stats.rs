//! Statistics of a set as a file, and of many files as one: a set of any size on many machines.

use std::path::{Path, PathBuf};

use nocturne_evaluation::Statistics;
use serde::Serialize;

use super::moments::{Moments, write_loose, write_packed};
use super::{EvaluateError, Keep, Loader, Manifest, Provenance, Set, source};
use crate::npy::Npz;

/// One model's statistics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The model.
    pub model: String,
    /// Vectors.
    pub vectors: usize,
    /// Their dimension.
    pub dim: usize,
}

/// Measures a set under some models, and writes their statistics: an `.npz` that fadtk reads where `output` ends so, else its folder
/// `OUTPUT/stats/MODEL/`. Memory does not grow with the set.
pub fn stats(
    loader: &Loader,
    (input, manifest): (&Path, Option<&Manifest>),
    output: &Path,
    progress: impl FnMut(usize, usize),
) -> Result<Vec<Provenance>, EvaluateError> {
    let sets = loader.load(input, manifest, Keep::Statistics, progress)?;
    let moments = |set: &Set| Ok((set.provenance.model.clone(), set.moments()?));
    write(output, &sets.iter().map(moments).collect::<Result<Vec<_>, EvaluateError>>()?)?;
    Ok(sets.into_iter().map(|set| set.provenance).collect())
}

/// Joins statistics of parts of a set, in the order of `inputs`, and writes them as [`stats`] does.
pub fn merge(inputs: &[PathBuf], output: &Path) -> Result<Vec<Measured>, EvaluateError> {
    let mut models = Vec::new();
    for path in inputs {
        // Statistics that cannot be opened name no model.
        Npz::open(path)?;
        models.extend(source::models(path));
    }
    models.sort();
    models.dedup();
    let mut all = Vec::new();
    for model in models {
        let mut merged: Option<Statistics> = None;
        for path in inputs {
            let part = Moments::read_packed(path, &model)?.into_statistics();
            let part = part.ok_or_else(|| EvaluateError::NoCount { path: path.clone(), model: model.clone() })?;
            match &mut merged {
                None => merged = Some(part),
                Some(merged) if merged.dim() == part.dim() => merged.merge(&part),
                Some(merged) => {
                    return Err(EvaluateError::Dimension {
                        path: path.clone(),
                        found: part.dim(),
                        other: inputs[0].clone(),
                        expected: merged.dim(),
                    });
                }
            }
        }
        if let Some(merged) = merged {
            let fault = |source| EvaluateError::Statistics { path: inputs[0].clone(), source };
            let moments = Moments::of(&merged).map_err(fault)?;
            all.push((model, moments));
        }
    }
    if all.is_empty() {
        let path = inputs.first().cloned().unwrap_or_default();
        return Err(EvaluateError::NoStatistics { path, model: "MODEL".to_owned(), found: "no model".to_owned() });
    }
    write(output, &all)?;
    let measured = |(model, moments): (String, Moments)| Measured {
        model,
        vectors: moments.count.unwrap_or_default(),
        dim: moments.mean.len(),
    };
    Ok(all.into_iter().map(measured).collect())
}

fn write(output: &Path, models: &[(String, Moments)]) -> Result<(), EvaluateError> {
    let packed = output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
    if !packed {
        return write_loose(output, models);
    }
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder).map_err(EvaluateError::io(folder))?;
    }
    write_packed(output, models)
}
