use std::path::Path;

use pytorch_reader::{PickleError, PytorchError, PytorchReader};

use super::CheckpointError;
use super::values::{Source, Stored};

/// Reads the names of a `torch.save` file; nested dictionaries become dotted names. The pickle is parsed, and nothing in
/// it is executed: an object that is neither a container nor a tensor is opaque.
pub(super) fn open(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    let size = std::fs::metadata(path).map_err(CheckpointError::io(path))?.len();
    let reader = PytorchReader::new(path).map_err(|error| match error {
        PytorchError::Io(source) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            CheckpointError::Io { file: path.to_owned(), source }
        }
        // What every class in such an archive is called.
        PytorchError::Pickle(PickleError::UnsupportedType(class)) if class.starts_with("__torch__.") => {
            let expected =
                "weights alone, as torch.save(torch.jit.load(FILE, \"cpu\").state_dict(), NEW_FILE) saves them";
            CheckpointError::format(path, "pickle", "a TorchScript archive", expected)
        }
        other => CheckpointError::format(path, "pickle", other, "a file of torch.save"),
    })?;
    if reader.is_empty() {
        return Err(CheckpointError::format(path, "pickle", "no tensors", "a file of torch.save with tensors"));
    }
    reader
        .into_tensors()
        .into_iter()
        .map(|(name, tensor)| {
            // A view may claim more than its storage holds (stride zero); weights do not.
            if tensor.byte_len() as u64 > size {
                let found = format!("{} bytes", tensor.byte_len());
                return Err(CheckpointError::tensor(path, &name, found, format!("at most the file's {size} bytes")));
            }
            Ok((name, Stored { file: path.to_owned(), source: Source::Pickled(tensor) }))
        })
        .collect()
}

/// A text that stands under `key` beside the tensors of a `torch.save` file, such as a configuration; nothing is executed.
/// None where there is no such text, or no such file.
pub fn text(path: &Path, key: &str) -> Option<String> {
    PytorchReader::load_config(path, Some(key)).ok()
}
