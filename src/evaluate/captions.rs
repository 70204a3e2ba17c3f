//! Captions as vectors of CLAP, kept from run to run as those of audio are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use ndarray::{Array1, Axis};
use nocturne_evaluation::clap::Training;
use nocturne_evaluation::clap_text::ClapCaptions;

use super::cache::Cache;
use super::ids::Ids;
use super::{EvaluateError, Hearing};
use crate::encodings::captions;
use crate::hash;

/// Captions between two looks at whether to stop.
const AT_ONCE: usize = 32;
/// Grows with every change of the arithmetic between a caption and its vector.
const VERSION: u32 = 1;

/// A file of captions.
pub struct Captions {
    /// As it was given.
    pub path: PathBuf,
    /// Of its bytes.
    pub sha256: String,
    by_id: BTreeMap<String, String>,
    ids: Ids,
}

impl Captions {
    /// Reads a JSON object `{id: caption}`, a CSV or Parquet file; see [`captions::read`].
    pub fn open(path: &Path) -> Result<Self, EvaluateError> {
        let by_id = captions::read(path)?;
        let sha256 = hash::of_files(&[path.to_owned()])?;
        Ok(Self { path: path.to_owned(), sha256, ids: Ids::new(by_id.keys().cloned()), by_id })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// All ids.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The caption of an id.
    pub fn get(&self, id: &str) -> &str {
        self.by_id.get(id).map_or("", String::as_str)
    }
}

/// CLAP's text branch, opened when the first caption is not known yet.
pub struct Encoder<'a> {
    training: Training,
    hearing: &'a Hearing<'a>,
    cache: Option<Cache>,
    network: Option<ClapCaptions>,
    known: BTreeMap<String, Array1<f32>>,
}

impl<'a> Encoder<'a> {
    /// Of the CLAP that was trained so; `name` is what vectors are kept under.
    pub fn new(training: Training, name: &str, hearing: &'a Hearing<'a>) -> Result<Self, EvaluateError> {
        let hash = hash::of_files(&ClapCaptions::files(training, hearing.weights)?)?;
        let cache = hearing.cache.map(|root| Cache::new(root, &format!("{name}-text-{VERSION}-{}", &hash[..16])));
        Ok(Self { training, hearing, cache, network: None, known: BTreeMap::new() })
    }

    /// A vector of length 1 for each caption.
    pub fn vectors(&mut self, captions: &[&str]) -> Result<Vec<Array1<f32>>, EvaluateError> {
        let mut unknown = Vec::new();
        for caption in captions {
            if self.known.contains_key(*caption) || unknown.contains(caption) {
                continue;
            }
            match self.cache.as_ref().and_then(|cache| cache.find(&key(caption))) {
                Some(kept) if kept.nrows() == 1 => {
                    self.known.insert((*caption).to_owned(), kept.index_axis_move(Axis(0), 0));
                }
                _ => unknown.push(*caption),
            }
        }
        for some in unknown.chunks(AT_ONCE) {
            if self.hearing.stop.load(Ordering::Relaxed) {
                return Err(EvaluateError::Interrupted);
            }
            let network = match &mut self.network {
                Some(network) => network,
                network => {
                    network.insert(ClapCaptions::open(self.training, self.hearing.weights, self.hearing.device)?)
                }
            };
            for (caption, vector) in some.iter().zip(network.embed(some)?.outer_iter()) {
                let row = vector.insert_axis(Axis(0));
                if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.keep(&key(caption), row)) {
                    tracing::warn!("captions' vectors cannot be cached: {error}");
                    self.cache = None;
                }
                self.known.insert((*caption).to_owned(), vector.to_owned());
            }
        }
        Ok(captions.iter().filter_map(|caption| self.known.get(*caption).cloned()).collect())
    }
}

fn key(caption: &str) -> String {
    hash::of_bytes(caption.as_bytes())
}
