//! Where encodings go: a file, or a column of a dataset.

use crate::cli::Failure;
use crate::dataset::{Dataset, DatasetError, Summary};
use crate::encodings::{ColumnError, Encoding, Encodings, write, write_column};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Where encodings go.
pub enum Target {
    /// A file of safetensors.
    File(PathBuf),
    /// The column `encoding` of the dataset in this folder.
    Dataset(PathBuf),
}

impl Target {
    /// What `--output` means: a folder is a dataset. It is looked at before anything is encoded.
    pub fn new(output: PathBuf) -> Result<Self, Failure> {
        if !output.is_dir() {
            return Ok(Self::File(output));
        }
        Dataset::open(&output)?;
        if Summary::read(&output)?.is_some_and(|summary| summary.options.shard.is_some()) {
            let cause = format!("{} is a shard, which cannot be merged once it has a column more", output.display());
            return Err(Failure::arguments(cause).remedy("`prepare --merge` first"));
        }
        Ok(Self::Dataset(output))
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        let (Self::File(path) | Self::Dataset(path)) = self;
        path
    }

    /// Writes all encodings; whether it was not interrupted.
    pub fn write(&self, encodings: BTreeMap<String, Encoding>, stop: &AtomicBool) -> Result<bool, Failure> {
        match self {
            Self::File(path) => write(path, &encodings).map(|()| true).map_err(Failure::failed),
            Self::Dataset(path) => {
                let encodings = Encodings::new(path, encodings).map_err(Failure::failed)?;
                match write_column(path, &encodings, stop) {
                    Ok(()) => Ok(true),
                    Err(ColumnError::Dataset(DatasetError::Cancelled { .. })) => Ok(false),
                    Err(ColumnError::Dataset(error)) => Err(error.into()),
                    Err(ColumnError::Pairing(error)) => Err(Failure::usage(error)
                        .remedy("every recording of the dataset needs an encoding; a file takes those that there are")),
                }
            }
        }
    }
}
