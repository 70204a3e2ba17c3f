//! Pickled tensors, read without executing anything: a pickle is a program for a small machine; [`machine`] runs the
//! instructions that build containers and notes every call without making it, and [`tensor`] knows which noted calls are
//! tensors of PyTorch or arrays of `NumPy`.
//!
//! What is allocated is bounded by the size of the file, however its parts refer to one another.

mod archive;
pub mod machine;
mod save;
pub mod tensor;
mod torch_storage;

use std::path::{Path, PathBuf};

pub use archive::{Storages, program};
use machine::{Object, Pickle, Value};
pub use save::{Named, save, save_with};
use tensor::Budget;
use thiserror::Error;

/// What is wrong with a pickle, before the file's name is known.
#[derive(Debug, PartialEq)]
pub struct Fault {
    /// What stands there.
    pub found: String,
    /// What should stand there.
    pub expected: String,
}

impl Fault {
    /// Both in words.
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into() }
    }
}

/// A file that is no pickled tensor and no list of them.
#[derive(Debug, Error)]
pub enum PickleError {
    /// The file system said no.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{}: not a saved tensor: found {found}, expected {expected}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
}

/// The shape, and the values in row-major order.
pub type Values = (Vec<usize>, Vec<f32>);

/// Reads a tensor, or a list or tuple of tensors, as `torch.save` or `pickle.dump` wrote it.
pub fn read(path: &Path) -> Result<Vec<Values>, PickleError> {
    let bytes = std::fs::read(path).map_err(|source| PickleError::Io { file: path.to_owned(), source })?;
    parse(&bytes).map_err(|Fault { found, expected }| PickleError::Content { file: path.to_owned(), found, expected })
}

fn parse(bytes: &[u8]) -> Result<Vec<Values>, Fault> {
    let mut budget = Budget::of(bytes.len());
    if !archive::is_archive(bytes) {
        let (pickle, _) = machine::parse(bytes)?;
        return all(&pickle, &Storages::default(), &mut budget);
    }
    let (program, storages) = archive::open(bytes)?;
    all(&machine::parse(&program)?.0, &storages, &mut budget)
}

fn all(pickle: &Pickle, storages: &Storages, budget: &mut Budget) -> Result<Vec<Values>, Fault> {
    let one = |value: &Value| tensor::read(pickle, *value, storages, budget);
    match pickle.object(pickle.root) {
        Some(Object::List(values) | Object::Tuple(values)) => values.iter().map(one).collect(),
        _ => [pickle.root].iter().map(one).collect(),
    }
}

#[cfg(test)]
mod tests;
