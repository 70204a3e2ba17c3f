//! Why sets cannot be scored.

use std::io;
use std::path::{Path, PathBuf};

use nocturne_evaluation::{ClapScoreError, ClassesError, EmbeddingError, FadInfinityError, FrechetError, WeightsError};
use nocturne_models::t5::TokenizerError;

use crate::dataset::DatasetError;
use crate::encodings::captions::CaptionsError;
use crate::hash::HashError;
use crate::npy::NpyError;

/// Why sets cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A file of arrays cannot be read.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A folder cannot be listed.
    #[error(transparent)]
    Folder(#[from] DatasetError),
    /// There is nothing to score.
    #[error("{}: no audio, no .npy embeddings and no statistics of `{model}`", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
        /// The model that was asked for.
        model: String,
    },
    /// A model cannot hear.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Captions, or a manifest, cannot be read.
    #[error(transparent)]
    Captions(#[from] CaptionsError),
    /// An `.npz` file has no statistics, or not of this model.
    #[error("{}: no statistics of `{model}`: expected {model}.mu and {model}.cov, or mu_ref and sigma_ref; found {found}", path.display())]
    NoStatistics {
        /// The file.
        path: PathBuf,
        /// The model that was asked for.
        model: String,
        /// The arrays that are there.
        found: String,
    },
    /// An array of another shape.
    #[error("{}: {what} is of shape {found:?}, expected {expected}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Which array.
        what: String,
        /// Its shape.
        found: Vec<usize>,
        /// What can be used.
        expected: String,
    },
    /// Every clip was left out.
    #[error("{}: none of {clips} clips could be used; the first: {reason}", path.display())]
    AllSkipped {
        /// The set.
        path: PathBuf,
        /// How many there were.
        clips: usize,
        /// Why the first was not.
        reason: String,
    },
    /// Sets of different embeddings.
    #[error("{}: vectors of {found} dimensions, those of {} have {expected}", path.display(), other.display())]
    Dimension {
        /// The set.
        path: PathBuf,
        /// Its dimension.
        found: usize,
        /// The set that it is compared with.
        other: PathBuf,
        /// That one's.
        expected: usize,
    },
    /// A metric that looks at vectors was given their statistics.
    #[error("{}: {what} needs audio or embeddings, not statistics", path.display())]
    NeedsVectors {
        /// The set.
        path: PathBuf,
        /// The metric or option.
        what: &'static str,
    },
    /// A metric that needs more vectors than there are.
    #[error("{}: {metric} needs more than {expected} vectors in either set, found {found}", path.display())]
    TooFewVectors {
        /// The generated set.
        path: PathBuf,
        /// The metric.
        metric: &'static str,
        /// The smaller set's vectors.
        found: usize,
        /// How many are too few.
        expected: usize,
    },
    /// Statistics that do not say of how many vectors they are.
    #[error("{}: `{model}` has no count of vectors ({model}.n), which a merge needs", path.display())]
    NoCount {
        /// The file.
        path: PathBuf,
        /// The model.
        model: String,
    },
    /// A set that has no normal distribution.
    #[error("{}: {source}", path.display())]
    Statistics {
        /// The set.
        path: PathBuf,
        /// Why.
        source: FrechetError,
    },
    /// No distance.
    #[error("{} and {}: {source}", generated.display(), reference.display())]
    Frechet {
        /// The one set.
        reference: PathBuf,
        /// The other.
        generated: PathBuf,
        /// Why.
        source: FrechetError,
    },
    /// No FAD-inf.
    #[error("{}: {source}", path.display())]
    Infinity {
        /// The generated set.
        path: PathBuf,
        /// Why.
        source: FadInfinityError,
    },
    /// Sets without a name in common.
    #[error("no two clips have one name: there is {}, and there is {}", reference.display(), generated.display())]
    NoPairs {
        /// A reference's clip.
        reference: PathBuf,
        /// A generated one.
        generated: PathBuf,
    },
    /// Clips and captions without a name in common, or of different models.
    #[error("{}: {source}", path.display())]
    Captioned {
        /// The generated set.
        path: PathBuf,
        /// Why.
        source: ClapScoreError,
    },
    /// A caption that the model's tokenizer cannot take.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Predictions that make no score.
    #[error("{}: {source}", path.display())]
    Classes {
        /// The generated set.
        path: PathBuf,
        /// Why.
        source: ClassesError,
    },
    /// A clip that does not fit into its set.
    #[error("{}: {source}", path.display())]
    Clip {
        /// The clip.
        path: PathBuf,
        /// Why.
        source: EmbeddingError,
    },
    /// The job was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl From<HashError> for EvaluateError {
    fn from(HashError { path, source }: HashError) -> Self {
        Self::Io { path, source }
    }
}

impl EvaluateError {
    /// For `map_err`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
