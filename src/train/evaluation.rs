//! What a run's samples are measured by.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::TrainError;

/// How often new clips are compared with held-out music, and by whose ear. The best checkpoint is then the one whose clips are
/// nearest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationSettings {
    /// Measure every so many optimiser steps and at the end, each time with a checkpoint: 0 is never.
    pub every: u64,
    /// Clips that are generated each time, from the same noise: 32. As many of the held-out music are what they are compared
    /// with.
    pub num_images: usize,
    /// Whose vectors: `pooled-mel`, which needs no weights, or another embedder of `nocturne evaluate`.
    pub model: String,
    /// The folder of published weights, or the model's own file.
    pub weights: Option<PathBuf>,
}

impl Default for EvaluationSettings {
    fn default() -> Self {
        Self { every: 0, num_images: 32, model: "pooled-mel".to_owned(), weights: None }
    }
}

impl EvaluationSettings {
    /// Refuses values that cannot work.
    pub fn validate(&self) -> Result<(), TrainError> {
        if self.every == 0 || self.num_images > 0 {
            return Ok(());
        }
        let (field, found) = ("evaluation.num_images", self.num_images.to_string());
        Err(TrainError::Config { field, found, expected: "1 or more".into() })
    }
}
