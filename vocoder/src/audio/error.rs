//! What can go wrong with a sound file, sorted by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// A failure to read or write one sound file. Every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The operating system refused to open or read the file: look at its path and permissions.
    #[error("{}: cannot read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file holds no bytes, or a sound of no samples: skip it.
    #[error("{}: holds no audio", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The content is of no audio format that Nocturne knows, whatever the extension says: skip it.
    #[error("{}: not an audio file, or of an unknown format", path.display())]
    NotAudio {
        /// The file.
        path: PathBuf,
    },
    /// The format is known, but nothing useful can be decoded: fetch the file anew.
    #[error("{}: damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the decoder stopped.
        reason: String,
    },
    /// A sound file with a codec, rate or layout that Nocturne does not decode: convert it.
    #[error("{}: unsupported: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported.
        what: String,
    },
    /// More samples than may be held in memory: split the file.
    #[error("{}: longer than {limit} samples over all channels", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit, in samples over all channels.
        limit: u64,
    },
    /// The format to be written cannot hold this sound.
    #[error("{}: cannot encode: {reason}", path.display())]
    CannotEncode {
        /// The file.
        path: PathBuf,
        /// What the format lacks.
        reason: String,
    },
    /// The operating system refused to write the file.
    #[error("{}: cannot write: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl AudioError {
    /// The file that failed.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::Empty { path }
            | Self::NotAudio { path }
            | Self::Damaged { path, .. }
            | Self::Unsupported { path, .. }
            | Self::TooLong { path, .. }
            | Self::CannotEncode { path, .. }
            | Self::Unwritable { path, .. } => path,
        }
    }
}
