//! The resolved configuration, beside every result.

use super::ConfigError;
use nocturne_models::files::write_atomic;
use serde::Serialize;
use std::path::Path;

/// The file in a result's folder; `--config` reads it back.
const FILE: &str = "nocturne.yaml";

/// Writes what a job was run with into its result's folder.
pub fn write_resolved(folder: &Path, experiment: &impl Serialize) -> Result<(), ConfigError> {
    write_resolved_as(&folder.join(FILE), experiment)
}

/// The same beside a result that has no folder of its own.
pub fn write_resolved_as(path: &Path, experiment: &impl Serialize) -> Result<(), ConfigError> {
    let text = serde_saphyr::to_string(experiment)
        .map_err(|error| ConfigError::Invalid { key: String::new(), reason: error.to_string() })?;
    write_atomic(path, text.as_bytes()).map_err(|source| ConfigError::Unwritable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Experiment, Layers};

    #[test]
    fn a_resolved_configuration_reads_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut experiment = Experiment::default();
        experiment.data.resolution = [64, 128];
        experiment.data.bigvgan_model = "yes: [no]".to_owned();
        experiment.train.learning_rate = 3e-5;
        write_resolved(folder.path(), &experiment).unwrap();
        let again: Experiment =
            Layers::default().file(&folder.path().join(FILE)).unwrap().resolve(&Experiment::default()).unwrap();
        assert_eq!(again, experiment);
    }
}
