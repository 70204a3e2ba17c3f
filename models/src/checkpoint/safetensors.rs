use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ::safetensors::tensor::Metadata;

use super::CheckpointError;
use super::values::{Source, Stored};

/// The bound of the format's own implementation.
const MAX_HEADER: u64 = 100_000_000;
const LENGTH_BYTES: u64 = 8;

/// Reads and checks the header of a `.safetensors` file: an eight-byte length, that many bytes of JSON, then the values
/// without gap or overlap up to the end of the file.
pub(super) fn open(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    let mut file = File::open(path).map_err(CheckpointError::io(path))?;
    let size = file.metadata().map_err(CheckpointError::io(path))?.len();
    let broken = |field: &str, found: String, expected: String| CheckpointError::format(path, field, found, expected);

    let mut length = [0; LENGTH_BYTES as usize];
    file.read_exact(&mut length)
        .map_err(|_| broken("file size", format!("{size} bytes"), format!("at least {LENGTH_BYTES} bytes")))?;
    let length = u64::from_le_bytes(length);
    let available = size.saturating_sub(LENGTH_BYTES).min(MAX_HEADER);
    if length > available {
        return Err(broken("header length", format!("{length} bytes"), format!("at most {available}")));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(CheckpointError::io(path))?;
    // Deserialising checks that the spans are contiguous and as long as type and shape say.
    let header: Metadata = serde_json::from_slice(&header)
        .map_err(|error| broken("header", error.to_string(), "the JSON header of safetensors".to_owned()))?;
    let (start, data) = (LENGTH_BYTES + length, header.data_len() as u64);
    if start.checked_add(data) != Some(size) {
        let expected = format!("{data} as the header says");
        return Err(broken("data length", format!("{} bytes", size - start), expected));
    }

    let open = Arc::new(Mutex::new(file));
    let stored = header.tensors().into_iter().map(|(name, info)| {
        let (first, last) = info.data_offsets;
        let source = Source::Span {
            open: open.clone(),
            start: start + first as u64,
            length: last - first,
            dtype: info.dtype,
            shape: info.shape.clone(),
        };
        (name, Stored { file: path.to_owned(), source })
    });
    Ok(stored.collect())
}
