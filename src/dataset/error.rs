use std::io;
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;
use nocturne_vocoder::mel::MelError;
use parquet::errors::ParquetError;

use crate::representation::RepresentationError;

/// A failure to make or to read a dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An option has a value that cannot work.
    #[error("{option} is {found}, expected {expected}")]
    Option {
        /// The option, as the command line names it.
        option: &'static str,
        /// Its value.
        found: String,
        /// What would work.
        expected: String,
    },
    /// The mel settings cannot work.
    #[error(transparent)]
    Mel(#[from] RepresentationError),
    /// There is nothing to make a dataset of.
    #[error("{folder}: no audio files, expected names that end in {expected}")]
    NoAudio {
        /// The input folder.
        folder: PathBuf,
        /// The extensions that are looked for.
        expected: String,
    },
    /// No file gave a slice.
    #[error("{folder}: no slices, {skipped} files skipped and {silent} slices silent (see {list})")]
    NoSlices {
        /// The input folder.
        folder: PathBuf,
        /// Files that could not be used.
        skipped: u64,
        /// Slices with nothing in them.
        silent: u64,
        /// Where each skipped file stands with its reason.
        list: PathBuf,
    },
    /// The output folder holds a dataset already, and overwriting was not asked for.
    #[error("{path} holds a dataset already")]
    Exists {
        /// The output folder.
        path: PathBuf,
    },
    /// Another process prepares into the same folder.
    #[error("{path} is being written by another process")]
    Busy {
        /// The output folder.
        path: PathBuf,
    },
    /// An interrupted job cannot be continued, because something is different now.
    #[error("{path}: an interrupted run had another {what}; `--overwrite` starts anew")]
    Interrupted {
        /// The output folder.
        path: PathBuf,
        /// What differs, with both values where they are short.
        what: String,
    },
    /// The job was told to stop; what is done is kept, and the same command continues.
    #[error("interrupted after {done} of {files} files; the same command continues")]
    Cancelled {
        /// Files done.
        done: usize,
        /// Files in all.
        files: usize,
    },
    /// A file is not what it should be.
    #[error("{path}: {found}, expected {expected}")]
    Invalid {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// One example of a dataset is not what it should be.
    #[error("{path}: example {index}: {found}, expected {expected}")]
    Example {
        /// The file or folder of the dataset.
        path: PathBuf,
        /// The example.
        index: usize,
        /// What is wrong.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A file is damaged, or in a form that is not supported.
    #[error("{path}: damaged or unsupported: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
}

impl From<MelError> for DatasetError {
    fn from(error: MelError) -> Self {
        Self::Mel(error.into())
    }
}

impl DatasetError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn arrow(path: &Path) -> impl FnOnce(ArrowError) -> Self + use<> {
        let path = path.to_path_buf();
        move |error| Self::Damaged { path, reason: error.to_string() }
    }

    pub(super) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self + use<> {
        let path = path.to_path_buf();
        move |error| Self::Damaged { path, reason: error.to_string() }
    }

    pub(crate) fn invalid(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_path_buf(), found: found.into(), expected: expected.into() }
    }
}

/// Runs a reader of untrusted bytes; should it panic after all, that is an error of the file.
pub(super) fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, DatasetError>) -> Result<T, DatasetError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        Err(DatasetError::Damaged { path: path.to_path_buf(), reason: panic_message(panic.as_ref()) })
    })
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the reader gave up: {}", message.unwrap_or("no reason given"))
}
