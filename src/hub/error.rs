use std::path::PathBuf;

use nocturne_models::checkpoint::CheckpointError;
use thiserror::Error;

/// Why there is no folder of a repository.
#[derive(Debug, Error)]
pub enum HubError {
    /// Neither a folder nor a name.
    #[error(
        "`{name}` is neither a folder nor in the Hugging Face cache{}",
        cache.as_ref().map_or_else(String::new, |cache| format!(" `{}`", cache.display()))
    )]
    NotFound {
        /// What was looked for.
        name: String,
        /// The cache of this machine.
        cache: Option<PathBuf>,
    },
    /// It would have to be downloaded, which is forbidden.
    #[error("`{name}` is not in the Hugging Face cache `{}`, and HF_HUB_OFFLINE is set", cache.display())]
    Offline {
        /// The repository.
        name: String,
        /// The cache of this machine.
        cache: PathBuf,
        /// What is needed of it.
        files: String,
    },
    /// There is no network, or no hub behind it.
    #[error("`{name}` is not in the Hugging Face cache, and {endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// The hub.
        endpoint: String,
        /// The repository.
        name: String,
        /// What is needed of it.
        files: String,
        /// What the network said.
        reason: String,
    },
    /// The hub has no such repository, or not for everybody.
    #[error("{endpoint} has no `{name}`, or does not show it to us (status {status})")]
    Refused {
        /// The hub.
        endpoint: String,
        /// The repository.
        name: String,
        /// The answer's.
        status: u16,
    },
    /// The list of a network's shards cannot be read.
    #[error(transparent)]
    Index(Box<CheckpointError>),
    /// The repository lacks a file.
    #[error("`{name}` on {endpoint} has no {files}")]
    Missing {
        /// The hub.
        endpoint: String,
        /// The repository.
        name: String,
        /// The names that the file may have.
        files: String,
    },
    /// The hub gave something else than it said.
    #[error("{url}: found {found}, expected {expected}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What came.
        found: String,
        /// What should have.
        expected: String,
    },
    /// The cache cannot be written.
    #[error("cannot write to the Hugging Face cache `{}`", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl HubError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Offline { name, files, .. } | Self::Unreachable { name, files, .. } => Some(format!(
                "where there is a network, `hf download {name} {files} --local-dir DIR` (pip install huggingface_hub); then \
                 give DIR instead of the name"
            )),
            Self::Refused { .. } => Some("HF_TOKEN holds the token of who may see it".to_owned()),
            Self::Answer { .. } => Some("the same command tries again".to_owned()),
            Self::NotFound { .. } | Self::Missing { .. } | Self::Index(_) | Self::Cache { .. } => None,
        }
    }
}
