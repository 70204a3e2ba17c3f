use std::io;
use std::path::{Path, PathBuf};

use crate::dataset::DatasetError;
use nocturne_models::checkpoint::CheckpointError;

/// Why encodings cannot be read, found or written.
#[derive(Debug, thiserror::Error)]
pub enum EncodingsError {
    /// The file system said no.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A file of tensors cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A dataset without encodings.
    #[error("{}: no column `encoding`; `nocturne encode text` and `encode audio` make it where `--output` is the dataset", dataset.display())]
    NoColumn {
        /// The dataset.
        dataset: PathBuf,
    },
    /// A pickle holds something other than a dictionary of tensors.
    #[error("{}: not a pickled dictionary of tensors: found {found}, expected {expected}", file.display())]
    Pickle {
        /// The file.
        file: PathBuf,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// There is nothing in the file.
    #[error("{}: no encodings", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// One encoding is not like the others, or cannot be used.
    #[error("{}: encoding {id:?}: found {found}, expected {expected}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Whose encoding.
        id: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// Nothing encodes this id.
    #[error("{}: no encoding of {id:?}", file.display())]
    Absent {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        id: String,
    },
    /// More than one encoding may be meant.
    #[error("{}: {id:?} may mean {first:?} or {second:?}, among others", file.display())]
    Ambiguous {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        id: String,
        /// One encoding's id.
        first: String,
        /// Another's.
        second: String,
    },
}

impl EncodingsError {
    pub(super) fn io(file: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let file = file.to_owned();
        move |source| Self::Io { file, source }
    }

    pub(super) fn invalid(file: &Path, id: &str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Invalid { file: file.to_owned(), id: id.to_owned(), found: found.into(), expected: expected.into() }
    }
}
