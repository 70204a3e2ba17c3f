//! A set that was read, and where it came from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nocturne_evaluation::{Embeddings, FrechetError, Gaussian, Statistics};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::EvaluateError;
use super::moments::Moments;
use super::source::Source;
use crate::hash::hex;
use crate::skipped::Skipped;

/// What a set was, for the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provenance {
    /// As it was given.
    pub path: PathBuf,
    /// Whose vectors.
    pub model: String,
    /// `audio`, `embeddings` or `statistics`.
    pub kind: &'static str,
    /// Files that were used; unknown of statistics.
    pub clips: Option<usize>,
    /// Vectors, where they are known.
    pub vectors: Option<usize>,
    /// Their dimension.
    pub dim: usize,
    /// Of the files' names and contents, or of the statistics' file.
    pub sha256: String,
    /// Files whose vectors were in the cache.
    pub cached: usize,
    /// Files that were left out.
    pub skipped: Vec<Skipped>,
}

/// A set in memory.
pub struct Set {
    /// Where it is from.
    pub provenance: Provenance,
    /// All vectors, if they were to be kept and there are any.
    pub vectors: Option<Embeddings>,
    /// From a file.
    pub(super) moments: Option<Moments>,
    /// Of the clips.
    pub(super) statistics: Option<Statistics>,
    gaussian: OnceLock<Gaussian>,
}

impl Set {
    pub(super) fn new(provenance: Provenance, vectors: Option<Embeddings>) -> Self {
        Self { provenance, vectors, moments: None, statistics: None, gaussian: OnceLock::new() }
    }

    /// The statistics, as they are written to a file.
    pub fn moments(&self) -> Result<Moments, EvaluateError> {
        match (&self.moments, &self.statistics) {
            (Some(moments), _) => Ok(moments.clone()),
            (None, Some(statistics)) => Moments::of(statistics).map_err(|source| self.fault(source)),
            (None, None) => Err(EvaluateError::NeedsVectors { path: self.provenance.path.clone(), what: "this" }),
        }
    }

    /// The normal distribution, made ready to be compared; once.
    pub fn gaussian(&self) -> Result<&Gaussian, EvaluateError> {
        if let Some(gaussian) = self.gaussian.get() {
            return Ok(gaussian);
        }
        let gaussian = self.moments()?.gaussian().map_err(|source| self.fault(source))?;
        Ok(self.gaussian.get_or_init(|| gaussian))
    }

    /// All vectors, for `what`.
    pub fn vectors(&self, what: &'static str) -> Result<&Embeddings, EvaluateError> {
        self.vectors.as_ref().ok_or_else(|| EvaluateError::NeedsVectors { path: self.provenance.path.clone(), what })
    }

    fn fault(&self, source: FrechetError) -> EvaluateError {
        EvaluateError::Statistics { path: self.provenance.path.clone(), source }
    }
}

/// A set that is its statistics.
pub(super) fn statistics(path: &Path, model: &str, source: &Source) -> Result<Set, EvaluateError> {
    let mut digest = Sha256::new();
    let mut add = |file: &Path| -> Result<(), EvaluateError> {
        digest.update(fs::read(file).map_err(EvaluateError::io(file))?);
        Ok(())
    };
    let moments = if let Source::Loose(folder) = source {
        add(&folder.join("mu.npy"))?;
        add(&folder.join("cov.npy"))?;
        Moments::read_loose(folder)?
    } else {
        add(path)?;
        Moments::read_packed(path, model)?
    };
    let provenance = Provenance {
        path: path.to_owned(),
        model: model.to_owned(),
        kind: "statistics",
        clips: None,
        vectors: moments.count,
        dim: moments.mean.len(),
        sha256: hex(digest),
        cached: 0,
        skipped: Vec::new(),
    };
    Ok(Set { moments: Some(moments), ..Set::new(provenance, None) })
}
