//! Why a training run cannot start or go on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nocturne_models::checkpoint::CheckpointError;
use nocturne_models::diffusion::DiffusionError;
use nocturne_models::network::ConfigError;

/// What a callback of the training loop may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a training run cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A field of the configuration cannot be used.
    #[error("`{field}` is {found}, expected {expected}")]
    Config {
        /// Its path, for example `train.train_batch_size`.
        field: &'static str,
        /// Its value.
        found: String,
        /// The values that work.
        expected: String,
    },
    /// The network's configuration describes no network.
    #[error("model: {0}")]
    Model(#[from] ConfigError),
    /// The mels do not fit the network.
    #[error("the mels are {found:?} (channels, bands, frames), expected {expected}")]
    Shape {
        /// `[channel, mel, frame]` of the dataset.
        found: [usize; 3],
        /// What the network takes.
        expected: String,
    },
    /// The encodings do not fit the network.
    #[error("the encodings are {found} wide; the network takes {expected}")]
    ConditionWidth {
        /// Their width.
        found: usize,
        /// What the network takes.
        expected: String,
    },
    /// The network needs encodings.
    #[error("the network is conditioned on encodings, and there are none")]
    NoConditions,
    /// A new run would mix with an earlier one.
    #[error("{}: holds the state of a training run; resume it, or choose another folder", folder.display())]
    Occupied {
        /// The state folder.
        folder: PathBuf,
    },
    /// There is nothing to train on.
    #[error("the dataset holds no mels to train on")]
    NoExamples,
    /// An example could not be read.
    #[error("example {index} ({audio_file}): {source}")]
    Example {
        /// Its index in the dataset.
        index: usize,
        /// The recording that it was cut from.
        audio_file: String,
        /// What went wrong.
        source: BoxError,
    },
    /// The thread that prepares batches is gone.
    #[error("the batches ended: the thread that prepares them stopped")]
    BatchesEnded,
    /// The run was not made with this configuration.
    #[error("{}: `{field}` was {saved} and is now {configured}; a resumed run keeps its network, its noise schedule and what it learns", checkpoint.display())]
    Changed {
        /// The checkpoint.
        checkpoint: PathBuf,
        /// The path of the field.
        field: String,
        /// Its value in the checkpoint.
        saved: String,
        /// Its value now.
        configured: String,
    },
    /// A checkpoint is not whole.
    #[error("{}: found {found}, expected {expected}", checkpoint.display())]
    Damaged {
        /// The checkpoint, or a file in it.
        checkpoint: PathBuf,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// The loss or the gradient stopped being a number.
    #[error("step {step}: the loss or its gradient is not finite; the batch holds {}; {}", Files(files), LastGood(checkpoint.as_deref()))]
    NotFinite {
        /// The optimiser step, from 1.
        step: u64,
        /// The recordings in its batch.
        files: Vec<String>,
        /// The newest checkpoint from before.
        checkpoint: Option<PathBuf>,
    },
    /// Weights could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The noise schedule cannot be used.
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// Sampling or publishing failed.
    #[error("{task} at step {step}: {source}")]
    Callback {
        /// `sampling` or `publishing`.
        task: &'static str,
        /// The optimiser step.
        step: u64,
        /// What went wrong.
        source: BoxError,
    },
}

impl TrainError {
    /// Whether the run was asked for what cannot be, rather than failed.
    pub fn is_in_the_arguments(&self) -> bool {
        matches!(
            self,
            Self::Config { .. }
                | Self::ConditionWidth { .. }
                | Self::NoConditions
                | Self::Model(_)
                | Self::Shape { .. }
                | Self::Occupied { .. }
                | Self::Changed { .. }
        )
    }

    /// What a callback said at a step, while `task`: `sampling` or `publishing`.
    pub(super) fn callback(task: &'static str, step: u64) -> impl FnOnce(BoxError) -> Self {
        move |source| Self::Callback { task, step, source }
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

struct Files<'a>(&'a [String]);

impl fmt::Display for Files<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.0.to_vec();
        names.sort_unstable();
        names.dedup();
        f.write_str(&names.join(", "))
    }
}

struct LastGood<'a>(Option<&'a Path>);

impl fmt::Display for LastGood<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(path) => write!(f, "the last good checkpoint is {}", path.display()),
            None => f.write_str("no checkpoint was saved before"),
        }
    }
}
