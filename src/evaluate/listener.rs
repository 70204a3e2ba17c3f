//! One model that hears sets: where its weights are, what its vectors are kept under, and its network once it is needed.

use std::path::PathBuf;
use std::sync::OnceLock;

use nocturne_evaluation::WeightsError;
use nocturne_evaluation::embedder::{self, Embedder};
use serde::Serialize;

use super::cache::Cache;
use super::{EvaluateError, Hearing};
use crate::hash;

/// The embedder that needs no weights.
pub const POOLED_MEL: &str = "pooled-mel";

/// Grows with every change of the arithmetic between a file's bytes and its vectors.
const VERSION: u32 = 1;

/// What a model heard with, for the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Weights {
    /// The model.
    pub model: String,
    /// Its weights.
    pub file: PathBuf,
    /// Of them, and of the configuration beside them.
    pub sha256: String,
}

/// A model by its name. Nothing is opened before audio is heard that the cache does not know.
pub struct Listener<'a> {
    name: String,
    hearing: &'a Hearing<'a>,
    weights: OnceLock<Option<Weights>>,
    network: OnceLock<Box<dyn Embedder>>,
}

impl<'a> Listener<'a> {
    /// Of a name that may also be one of embeddings that other tools made.
    pub fn new(name: &str, hearing: &'a Hearing<'a>) -> Self {
        Self { name: name.to_owned(), hearing, weights: OnceLock::new(), network: OnceLock::new() }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether audio can be heard: the name is known here, and the weights are there.
    pub fn can_hear(&self) -> bool {
        self.files().is_ok()
    }

    fn files(&self) -> Result<Vec<PathBuf>, WeightsError> {
        embedder::files(&self.name, self.hearing.weights)
    }

    /// What it hears with, if it has been made ready to hear and has weights.
    pub fn weights(&self) -> Option<&Weights> {
        self.weights.get()?.as_ref()
    }

    /// Finds the weights, and the vectors that were kept from them.
    pub fn cache(&self) -> Result<Option<Cache>, EvaluateError> {
        let weights = if let Some(weights) = self.weights.get() {
            weights
        } else {
            let files = self.files()?;
            let weights = match files.first() {
                None => None,
                Some(file) => {
                    Some(Weights { model: self.name.clone(), file: file.clone(), sha256: hash::of_files(&files)? })
                }
            };
            self.weights.get_or_init(|| weights)
        };
        let Some(root) = self.hearing.cache else { return Ok(None) };
        let weights = weights.as_ref().map_or(String::new(), |weights| format!("-{}", &weights.sha256[..16]));
        let key = format!("{}-{VERSION}{weights}{}", self.name, self.hearing.profile.key());
        Ok(Some(Cache::new(root, &key)))
    }

    /// The network, opened when it is asked for the first time, or taken from one of `others` that has the same.
    pub fn network(&self, others: &[Self]) -> Result<&dyn Embedder, EvaluateError> {
        if let Some(network) = self.network.get() {
            return Ok(&**network);
        }
        let opened = others.iter().filter_map(|other| other.network.get());
        let shared = opened.into_iter().find_map(|other| other.sibling(&self.name));
        let network = match shared {
            Some(network) => network,
            None => embedder::open(&self.name, self.hearing.weights, self.hearing.device)?,
        };
        Ok(&**self.network.get_or_init(|| network))
    }
}
