//! How a command ends: the exit code, one line of cause, one of remedy.

use crate::dataset::DatasetError;
use crate::evaluate::EvaluateError;
use crate::hub::HubError;
use crate::musicgen::OpenError;
use crate::pipeline::ModelFolderError;
use nocturne_evaluation::WeightsError;
use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// The job failed: 1.
    Failed,
    /// The arguments or the configuration are wrong: 2.
    Usage,
    /// Done, but some inputs were skipped, each named in `skipped.jsonl`: 3.
    Skipped,
    /// Interrupted, state saved: 130.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::Skipped => 3,
            Outcome::Interrupted => 130,
        })
    }
}

/// Why a command failed, in words for its user.
#[derive(Debug)]
pub struct Failure {
    outcome: Outcome,
    /// What went wrong, with its causes, on one line.
    pub cause: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Failure {
    /// A job that failed.
    pub fn failed(error: impl Error) -> Self {
        Self { outcome: Outcome::Failed, cause: chain(&error), remedy: None }
    }

    /// Arguments or a configuration that cannot be used.
    pub fn usage(error: impl Error) -> Self {
        Self { outcome: Outcome::Usage, cause: chain(&error), remedy: None }
    }

    /// A job that failed, in our own words.
    pub fn job(cause: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, cause: cause.into(), remedy: None }
    }

    /// Arguments that cannot be used, in our own words.
    pub fn arguments(cause: impl Into<String>) -> Self {
        Self { outcome: Outcome::Usage, cause: cause.into(), remedy: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The outcome that the process ends with.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// A wrong argument, or a job that failed: a dataset or a folder that the command line named wrongly is the former, what
/// is damaged inside it the latter.
impl From<DatasetError> for Failure {
    fn from(error: DatasetError) -> Self {
        let remedy = match &error {
            DatasetError::Exists { .. } => Some("`--overwrite` replaces it"),
            DatasetError::Interrupted { .. } => Some("the same command as before continues it"),
            _ => None,
        };
        let usage = match &error {
            DatasetError::Io { source, .. } => {
                matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
            }
            DatasetError::Option { .. }
            | DatasetError::Mel(_)
            | DatasetError::NoAudio { .. }
            | DatasetError::Exists { .. }
            | DatasetError::Interrupted { .. } => true,
            _ => false,
        };
        let failure = if usage { Self::usage(error) } else { Self::failed(error) };
        match remedy {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    }
}

impl From<ModelFolderError> for Failure {
    fn from(error: ModelFolderError) -> Self {
        match error {
            ModelFolderError::NotAModel { .. } => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}

/// Sets that cannot be found or do not fit together are wrong arguments; what is damaged is a failed job.
impl From<EvaluateError> for Failure {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Folder(error) => error.into(),
            EvaluateError::Weights(WeightsError::Missing { .. }) => {
                Self::usage(error).remedy("`--weights-dir` names another folder; nocturne downloads nothing")
            }
            EvaluateError::Weights(WeightsError::Unknown { .. }) => {
                Self::usage(error).remedy("sets of other models' embeddings are folders of .npy files")
            }
            EvaluateError::Nothing { .. } => Self::usage(error)
                .remedy("a set is a folder of audio, a folder of .npy embeddings, or an .npz of statistics"),
            EvaluateError::NoStatistics { .. } => Self::usage(error).remedy("`--models` names them"),
            EvaluateError::NoCount { .. } => Self::usage(error).remedy("`nocturne evaluate stats` writes one"),
            EvaluateError::Dimension { .. }
            | EvaluateError::NeedsVectors { .. }
            | EvaluateError::Captions(_)
            | EvaluateError::NoPairs { .. }
            | EvaluateError::Captioned { .. }
            | EvaluateError::TooFewVectors { .. }
            | EvaluateError::Statistics { .. }
            | EvaluateError::Infinity { .. } => Self::usage(error),
            error => Self::failed(error),
        }
    }
}

/// What is not there is a wrong argument; a network or a file that does not do what it should is a failed job.
impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        let remedy = error.remedy();
        let usage = matches!(
            error,
            HubError::NotFound { .. } | HubError::Offline { .. } | HubError::Refused { .. } | HubError::Missing { .. }
        );
        let failure = if usage { Self::usage(error) } else { Self::failed(error) };
        match remedy {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    }
}

/// A model that cannot be opened was named wrongly.
impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Hub(error) => error.into(),
            error => Self::usage(error),
        }
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = source.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    #[test]
    fn a_chain_of_causes_is_one_line() {
        let source = std::io::Error::other("disk\nfull");
        let failure = Failure::failed(ConfigError::Unreadable { path: "a.yaml".into(), source });
        assert_eq!(failure.cause, "cannot read the configuration `a.yaml`: disk full");
        assert_eq!(failure.outcome(), Outcome::Failed);
    }
}
