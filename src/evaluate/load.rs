//! A set, read: audio through an embedder and its cache, embeddings and statistics from their files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::Array2;
use nocturne_evaluation::fadtk::{rounded_statistics, stored};
use nocturne_evaluation::{EmbeddingError, Embeddings, FrechetError, Gathering, Gaussian, Statistics};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::embedder::Embedder;
use super::moments::Moments;
use super::source::Source;
use super::{EvaluateError, Profile};
use crate::dataset::Shard;
use crate::npy;
use crate::skipped::Skipped;

/// Files that are in memory at once, for each thread.
const FILES_A_THREAD: usize = 4;

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
#[derive(Clone, Debug)]
pub struct Set {
    /// Where it is from.
    pub provenance: Provenance,
    /// All vectors, if they were to be kept and there are any.
    pub vectors: Option<Embeddings>,
    moments: Option<Moments>,
    statistics: Option<Statistics>,
}

impl Set {
    /// The statistics, as they are written to a file.
    pub fn moments(&self) -> Result<Moments, EvaluateError> {
        match (&self.moments, &self.statistics) {
            (Some(moments), _) => Ok(moments.clone()),
            (None, Some(statistics)) => Moments::of(statistics).map_err(|source| self.fault(source)),
            (None, None) => Err(EvaluateError::NeedsVectors { path: self.provenance.path.clone(), what: "this" }),
        }
    }

    /// The normal distribution, made ready to be compared.
    pub fn gaussian(&self) -> Result<Gaussian, EvaluateError> {
        self.moments()?.gaussian().map_err(|source| self.fault(source))
    }

    /// All vectors, for `what`.
    pub fn vectors(&self, what: &'static str) -> Result<&Embeddings, EvaluateError> {
        self.vectors.as_ref().ok_or_else(|| EvaluateError::NeedsVectors { path: self.provenance.path.clone(), what })
    }

    fn fault(&self, source: FrechetError) -> EvaluateError {
        EvaluateError::Statistics { path: self.provenance.path.clone(), source }
    }
}

/// Reads sets of one model.
pub struct Loader<'a> {
    /// The model.
    pub model: &'a str,
    /// How audio is prepared.
    pub profile: Profile,
    /// Where vectors of audio are kept from run to run.
    pub cache: Option<&'a Path>,
    /// Vectors and means are rounded as fadtk rounds them.
    pub fadtk_rounding: bool,
    /// One N-th of the files.
    pub shard: Option<Shard>,
    /// Setting it ends the job.
    pub stop: &'a AtomicBool,
}

/// One file's vectors.
pub struct Clip {
    /// Its name below the set's folder.
    pub name: PathBuf,
    /// `[frame, dim]`.
    pub vectors: Array2<f32>,
}

impl Loader<'_> {
    /// Reads a set. `progress` hears how many files are done, and of how many.
    pub fn load(&self, path: &Path, keep: Keep, mut progress: impl FnMut(usize, usize)) -> Result<Set, EvaluateError> {
        let source = Source::find(path, self.model)?;
        if let Source::Packed | Source::Loose(_) = &source {
            return self.statistics(path, &source);
        }
        let mut vectors = (keep != Keep::Statistics).then(Embeddings::new);
        let mut gathered = Gathered::default();
        let provenance = self.clips(path, &source, &mut progress, |clip| {
            if keep != Keep::Vectors {
                gathered.add(&clip.vectors, self.fadtk_rounding);
            }
            if let Some(all) = &mut vectors {
                let clip_name = clip.name.display().to_string();
                all.push(clip_name, clip.vectors.view())
                    .map_err(|source| EvaluateError::Clip { path: path.join(&clip.name), source })?;
            }
            Ok(())
        })?;
        Ok(Set { provenance, vectors, moments: None, statistics: gathered.finish() })
    }

    /// Hands every clip of audio or embeddings on, in the order of their names, and tells where they came from.
    pub fn clips(
        &self,
        path: &Path,
        source: &Source,
        progress: &mut dyn FnMut(usize, usize),
        mut hand: impl FnMut(Clip) -> Result<(), EvaluateError>,
    ) -> Result<Provenance, EvaluateError> {
        let (root, mut files, kind, unfollowed) = match source {
            Source::Audio(files, unfollowed) => (path, files.clone(), "audio", unfollowed.as_slice()),
            Source::Vectors(root, files) => (root.as_path(), files.clone(), "embeddings", &[][..]),
            Source::Packed | Source::Loose(_) => {
                return Err(EvaluateError::NeedsVectors { path: path.to_owned(), what: "this" });
            }
        };
        let mut skipped: Vec<Skipped> = Vec::new();
        let mut skip = |name: &Path, reason: &str| {
            let left_out = Skipped::new(name, reason);
            left_out.warn();
            skipped.push(left_out);
        };
        for (name, reason) in unfollowed {
            skip(name, reason);
        }
        if let Some(shard) = self.shard {
            files = files[shard.range(files.len())].to_vec();
        }
        let embedder = if kind == "audio" { Some(Embedder::new(self.profile)?) } else { None };
        let cache = embedder.as_ref().and_then(|embedder| Some(Cache::new(self.cache?, &embedder.key())));
        let mut digest = Sha256::new();
        let (mut dim, mut clips, mut frames, mut cached, mut done) = (None, 0, 0, 0, 0);
        let mut cache_failed = false;
        progress(0, files.len());
        for batch in files.chunks(FILES_A_THREAD * rayon::current_num_threads()) {
            if self.stop.load(Ordering::Relaxed) {
                return Err(EvaluateError::Interrupted);
            }
            let read: Vec<Result<Read, String>> = batch
                .par_iter()
                .map(|name| read(&root.join(name), embedder.as_ref(), cache.as_ref(), self.fadtk_rounding))
                .collect();
            for (name, read) in batch.iter().zip(read) {
                done += 1;
                let Read { vectors, hash, from_cache, kept } = match read.and_then(|read| fits(read, dim)) {
                    Ok(read) => read,
                    Err(reason) => {
                        skip(name, &reason);
                        continue;
                    }
                };
                if let (Err(error), false) = (kept, cache_failed) {
                    cache_failed = true;
                    tracing::warn!("embeddings cannot be cached: {error}");
                }
                digest.update(name.as_os_str().as_encoded_bytes());
                digest.update([0]);
                digest.update(hash.as_bytes());
                dim = Some(vectors.ncols());
                (clips, frames, cached) = (clips + 1, frames + vectors.nrows(), cached + usize::from(from_cache));
                hand(Clip { name: name.clone(), vectors })?;
            }
            progress(done, files.len());
        }
        let Some(dim) = dim else {
            let reason = skipped.first().map_or("there is none", |skipped| &skipped.reason).to_owned();
            return Err(EvaluateError::AllSkipped { path: path.to_owned(), clips: files.len(), reason });
        };
        Ok(Provenance {
            path: path.to_owned(),
            model: self.model.to_owned(),
            kind,
            clips: Some(clips),
            vectors: Some(frames),
            dim,
            sha256: hex(digest),
            cached,
            skipped,
        })
    }

    fn statistics(&self, path: &Path, source: &Source) -> Result<Set, EvaluateError> {
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
            Moments::read_packed(path, self.model)?
        };
        let provenance = Provenance {
            path: path.to_owned(),
            model: self.model.to_owned(),
            kind: "statistics",
            clips: None,
            vectors: moments.count,
            dim: moments.mean.len(),
            sha256: hex(digest),
            cached: 0,
            skipped: Vec::new(),
        };
        Ok(Set { provenance, vectors: None, moments: Some(moments), statistics: None })
    }
}

/// Statistics of clips, as they come.
#[derive(Default)]
struct Gathered {
    exact: Option<Gathering>,
    rounded: Option<Statistics>,
}

impl Gathered {
    fn add(&mut self, vectors: &Array2<f32>, rounding: bool) {
        let dim = vectors.ncols();
        if rounding {
            // File by file: each file's mean is rounded.
            self.rounded.get_or_insert_with(|| Statistics::new(dim)).merge(&rounded_statistics(vectors.view()));
        } else {
            self.exact.get_or_insert_with(|| Gathering::new(dim)).add(vectors.view());
        }
    }

    fn finish(self) -> Option<Statistics> {
        self.rounded.or_else(|| self.exact.map(Gathering::finish))
    }
}

struct Read {
    vectors: Array2<f32>,
    /// Of the file.
    hash: String,
    from_cache: bool,
    kept: std::io::Result<()>,
}

/// Reads one file; the error is in words, for `skipped.jsonl`.
fn read(path: &Path, embedder: Option<&Embedder>, cache: Option<&Cache>, rounding: bool) -> Result<Read, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let mut hasher = Sha256::new();
    hasher.update(&bytes);
    let hash = hex(hasher);
    let (vectors, from_cache, kept) = match (embedder, cache.and_then(|cache| cache.find(&hash))) {
        (None, _) => (vectors_of(&bytes, path)?, false, Ok(())),
        (Some(_), Some(vectors)) => (vectors, true, Ok(())),
        (Some(embedder), None) => {
            let vectors = embedder.embed(bytes, path)?;
            let kept = cache.map_or(Ok(()), |cache| cache.keep(&hash, vectors.view()));
            (vectors, false, kept)
        }
    };
    let vectors = if rounding { stored(vectors.view()) } else { vectors };
    Ok(Read { vectors, hash, from_cache, kept })
}

/// `[frame, dim]`, or `[dim]` as one frame.
fn vectors_of(bytes: &[u8], path: &Path) -> Result<Array2<f32>, String> {
    let array = npy::floats_of(bytes, path).map_err(|error| error.to_string())?;
    let (frames, dim) = match array.shape[..] {
        [dim] => (1, dim),
        [frames, dim] => (frames, dim),
        _ => return Err(format!("an array of shape {:?}, expected [frame, dim]", array.shape)),
    };
    let values = array.values.into_iter().map(|value| value as f32).collect();
    Array2::from_shape_vec((frames, dim), values).map_err(|error| error.to_string())
}

fn fits(read: Read, dim: Option<usize>) -> Result<Read, String> {
    let (frames, found) = read.vectors.dim();
    let expected = dim.unwrap_or(found);
    let fault = if frames == 0 || found == 0 {
        EmbeddingError::Empty
    } else if found != expected {
        EmbeddingError::Dimension { found, expected }
    } else if read.vectors.iter().any(|value| !value.is_finite()) {
        EmbeddingError::NotFinite
    } else {
        return Ok(read);
    };
    Err(fault.to_string())
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
