use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why weights cannot be read, used or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system said no.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A folder without a weights file of a known name.
    #[error("{}: found no weights, expected diffusion_pytorch_model, model, pytorch_model or bigvgan_generator with .safetensors, .bin, .pt or a shard index", folder.display())]
    NoWeights {
        /// The folder.
        folder: PathBuf,
    },
    /// The file is damaged, hostile, or of another format.
    #[error("{}: not a readable checkpoint: {field}: found {found}, expected {expected}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// The part of the file.
        field: String,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// One tensor cannot be used.
    #[error("{}: tensor {tensor}: found {found}, expected {expected}", file.display())]
    Tensor {
        /// The file.
        file: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The tensors are not those of the network.
    #[error("{}: the weights do not fit the network: {mismatch}", file.display())]
    Mismatch {
        /// The file.
        file: PathBuf,
        /// Every difference.
        mismatch: Box<Mismatch>,
    },
}

/// The differences between the tensors of a file and the parameters of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Parameters that the file lacks.
    pub missing: Vec<String>,
    /// Tensors that the network lacks.
    pub unexpected: Vec<String>,
    /// Name, shape found, shape expected.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Mismatch {
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let misshapen: Vec<String> = self
            .misshapen
            .iter()
            .map(|(name, found, expected)| format!("{name} (found {found:?}, expected {expected:?})"))
            .collect();
        let kinds = [("missing", &self.missing), ("unexpected", &self.unexpected), ("misshapen", &misshapen)];
        let mut separator = "";
        for (kind, names) in kinds.into_iter().filter(|(_, names)| !names.is_empty()) {
            const SHOWN: usize = 5;
            let first = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            write!(f, "{separator}{} {kind}: {first}", names.len())?;
            if names.len() > SHOWN {
                f.write_str(", …")?;
            }
            separator = "; ";
        }
        Ok(())
    }
}

impl CheckpointError {
    pub(super) fn io(file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { file: file.to_owned(), source }
    }

    pub(super) fn format(
        file: &Path,
        field: impl Into<String>,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        let (field, found, expected) = (field.into(), found.to_string(), expected.into());
        Self::Format { file: file.to_owned(), field, found, expected }
    }

    pub(super) fn tensor(file: &Path, name: &str, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        let (found, expected) = (found.to_string(), expected.into());
        Self::Tensor { file: file.to_owned(), tensor: name.to_owned(), found, expected }
    }
}
