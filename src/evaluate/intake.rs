//! What is counted, checked and kept of a set while its files come in.

use std::path::Path;

use ndarray::{Array2, ArrayView2};
use nocturne_evaluation::fadtk::rounded_statistics;
use nocturne_evaluation::{EmbeddingError, Embeddings, Gathering, Statistics};
use sha2::{Digest, Sha256};

use super::EvaluateError;
use super::hear::Vectors;
use super::set::{Provenance, Set};
use crate::hash::hex;
use crate::skipped::Skipped;

/// What is to be kept of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The mean and covariance: memory does not grow with the set.
    Statistics,
    /// All vectors.
    Vectors,
    /// Both.
    All,
}

/// What is kept of a set as it comes in.
pub struct Kept {
    vectors: Option<Embeddings>,
    measure: bool,
    gathered: Gathered,
}

impl Kept {
    /// Nothing yet.
    pub fn new(keep: Keep) -> Self {
        let vectors = (keep != Keep::Statistics).then(Embeddings::new);
        Self { vectors, measure: keep != Keep::Vectors, gathered: Gathered::default() }
    }

    /// Adds a clip's `[frame, dim]`.
    pub fn add(&mut self, name: String, vectors: ArrayView2<f32>, rounding: bool) -> Result<(), EmbeddingError> {
        if self.measure {
            self.gathered.add(vectors, rounding);
        }
        self.vectors.as_mut().map_or(Ok(()), |all| all.push(name, vectors))
    }

    /// Gives it to the set.
    pub fn into_set(self, mut set: Set) -> Set {
        (set.vectors, set.statistics) = (self.vectors, self.gathered.finish());
        set
    }
}

/// What one model's set was made of.
pub struct Tally {
    dim: Option<usize>,
    clips: usize,
    frames: usize,
    cached: usize,
    digest: Sha256,
    skipped: Vec<Skipped>,
}

impl Tally {
    /// Of no files yet, but for those that are left out before.
    pub fn new(skipped: &[Skipped]) -> Self {
        Self { dim: None, clips: 0, frames: 0, cached: 0, digest: Sha256::new(), skipped: skipped.to_vec() }
    }

    /// Leaves a file out.
    pub fn skip(&mut self, name: &Path, reason: &str) {
        self.skipped.push(Skipped::new(name, reason));
    }

    /// Counts a file, and gives its vectors back if they fit to those before.
    pub fn take(&mut self, name: &Path, hash: &str, vectors: Vectors) -> Option<Array2<f32>> {
        let Vectors { values, from_cache } = vectors;
        if let Err(fault) = fits(&values, self.dim) {
            tracing::warn!("skipped {}: {fault}", name.display());
            self.skip(name, &fault.to_string());
            return None;
        }
        self.digest.update(name.as_os_str().as_encoded_bytes());
        self.digest.update([0]);
        self.digest.update(hash.as_bytes());
        self.dim = Some(values.ncols());
        self.clips += 1;
        self.frames += values.nrows();
        self.cached += usize::from(from_cache);
        Some(values)
    }

    /// What `path`, of so many `files`, was under `model`.
    pub fn provenance(
        self,
        path: &Path,
        model: &str,
        kind: &'static str,
        files: usize,
    ) -> Result<Provenance, EvaluateError> {
        let Some(dim) = self.dim else {
            let reason = self.skipped.first().map_or("there is none", |skipped| &skipped.reason).to_owned();
            return Err(EvaluateError::AllSkipped { path: path.to_owned(), clips: files, reason });
        };
        Ok(Provenance {
            path: path.to_owned(),
            model: model.to_owned(),
            kind,
            clips: Some(self.clips),
            vectors: Some(self.frames),
            dim,
            sha256: hex(self.digest),
            cached: self.cached,
            skipped: self.skipped,
        })
    }
}

/// Statistics of clips, as they come.
#[derive(Default)]
struct Gathered {
    exact: Option<Gathering>,
    rounded: Option<Statistics>,
}

impl Gathered {
    fn add(&mut self, vectors: ArrayView2<f32>, rounding: bool) {
        let dim = vectors.ncols();
        if rounding {
            // File by file: each file's mean is rounded.
            self.rounded.get_or_insert_with(|| Statistics::new(dim)).merge(&rounded_statistics(vectors));
        } else {
            self.exact.get_or_insert_with(|| Gathering::new(dim)).add(vectors);
        }
    }

    fn finish(self) -> Option<Statistics> {
        self.rounded.or_else(|| self.exact.map(Gathering::finish))
    }
}

fn fits(vectors: &Array2<f32>, dim: Option<usize>) -> Result<(), EmbeddingError> {
    let (frames, found) = vectors.dim();
    let expected = dim.unwrap_or(found);
    if frames == 0 || found == 0 {
        Err(EmbeddingError::Empty)
    } else if found != expected {
        Err(EmbeddingError::Dimension { found, expected })
    } else if vectors.iter().any(|value| !value.is_finite()) {
        Err(EmbeddingError::NotFinite)
    } else {
        Ok(())
    }
}
