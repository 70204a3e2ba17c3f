use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DatasetError, PrepareOptions, PrepareReport};
use nocturne_models::files::write_atomic;

/// `prepare.json`: what a dataset was made of, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The options that decided over the result.
    pub options: PrepareOptions,
    /// A hash of the names, sizes and times of the input files.
    pub inputs: String,
    /// What came of it.
    pub report: PrepareReport,
}

impl Summary {
    const FILE: &str = "prepare.json";

    /// Writes it into a dataset.
    pub fn write(&self, dataset: &Path) -> Result<(), DatasetError> {
        let path = dataset.join(Self::FILE);
        let text = serde_json::to_vec_pretty(self).map_err(Into::into);
        text.and_then(|text| write_atomic(&path, &text)).map_err(DatasetError::io(&path))
    }

    /// Reads that of a dataset; none where `prepare` did not make it.
    pub fn read(dataset: &Path) -> Result<Option<Self>, DatasetError> {
        let path = dataset.join(Self::FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).map_err(DatasetError::io(&path))?;
        let summary = serde_json::from_slice(&text);
        summary.map(Some).map_err(|error| DatasetError::invalid(&path, error.to_string(), "what prepare writes"))
    }
}
