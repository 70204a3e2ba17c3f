//! Where the published weights of embedders are, and what is said where they are not.

use std::path::{Path, PathBuf};

use nocturne_models::checkpoint::{Checkpoint, CheckpointError};
use nocturne_models::network::NetworkError;
use nocturne_models::t5::TokenizerError;
use nocturne_vocoder::mel::MelError;
use thiserror::Error;

/// Why an embedder cannot be opened.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// No file.
    #[error("{model} needs {file}: get it from {source_address} and put it at {}", at.display())]
    Missing {
        /// The embedder.
        model: &'static str,
        /// The published name of its file.
        file: &'static str,
        /// Where it is published.
        source_address: &'static str,
        /// Where it was looked for.
        at: PathBuf,
    },
    /// A file of weights that are not the embedder's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A folder that does not hold the embedder's network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A tokenizer that cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A front end that cannot be made.
    #[error(transparent)]
    Mel(#[from] MelError),
    /// Weights that were trained on another front end than the embedder has.
    #[error("{}: {what}: found {found}, expected {expected}", file.display())]
    FrontEnd {
        /// The file.
        file: PathBuf,
        /// What differs.
        what: &'static str,
        /// The file's.
        found: String,
        /// The embedder's.
        expected: String,
    },
    /// A name of no embedder.
    #[error("unknown embedder {found:?}, expected one of {expected}")]
    Unknown {
        /// The name.
        found: String,
        /// The known names.
        expected: String,
    },
}

/// A published file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    /// The embedder.
    pub model: &'static str,
    /// The file's name.
    pub file: &'static str,
    /// Where it is.
    pub address: &'static str,
}

impl Published {
    /// The file itself, where `weights` is one, or the file of the published name in the folder `weights`.
    pub fn find(&self, weights: &Path) -> Result<PathBuf, WeightsError> {
        // What has an ending was meant to be a file.
        let at = if weights.is_file() || (!weights.is_dir() && weights.extension().is_some()) {
            weights.to_owned()
        } else {
            weights.join(self.file)
        };
        if at.is_file() { Ok(at) } else { Err(self.missing(at)) }
    }

    /// A folder of transformers, where `weights` is one or holds one of the embedder's name; else as [`Published::find`].
    pub fn find_or_folder(&self, weights: &Path) -> Result<PathBuf, WeightsError> {
        let folders = [weights.to_owned(), weights.join(self.model)];
        let folder = folders.into_iter().find(|folder| folder.join("config.json").is_file());
        folder.map_or_else(|| self.find(weights), Ok)
    }

    pub fn missing(&self, at: PathBuf) -> WeightsError {
        WeightsError::Missing { model: self.model, file: self.file, source_address: self.address, at }
    }
}

/// Of weights, or a folder of transformers: the file of the weights, and what is said of them beside it.
pub(crate) fn files_of(path: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let mut files = vec![Checkpoint::open(path)?.path().to_owned()];
    let beside = ["config.json", "preprocessor_config.json"].map(|name| path.join(name));
    files.extend(beside.into_iter().filter(|file| file.is_file()));
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PUBLISHED: Published = Published { model: "model", file: "weights.pth", address: "https://example.org" };

    #[test]
    fn a_missing_file_is_one_line_that_says_what_to_do() {
        for (weights, at) in [("nowhere", "nowhere/weights.pth"), ("nowhere/other.pth", "nowhere/other.pth")] {
            assert_eq!(
                PUBLISHED.find(Path::new(weights)).unwrap_err().to_string(),
                format!("model needs weights.pth: get it from https://example.org and put it at {at}"),
            );
        }
    }
}
