use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use nocturne_models::files::write_atomically;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::{Encoding, EncodingsError};

/// Writes encodings as safetensors: a float32 `[token, dim]` tensor an id, sorted by id. The file appears whole or not at
/// all.
///
/// # Errors
///
/// If the file cannot be written, or an id is one that the format keeps for itself.
pub fn write(path: &Path, encodings: &BTreeMap<String, Encoding>) -> Result<(), EncodingsError> {
    const RESERVED: &str = "__metadata__";
    if encodings.contains_key(RESERVED) {
        return Err(EncodingsError::invalid(path, RESERVED, "a name that safetensors keeps for itself", "another id"));
    }
    let mut end = 0;
    let infos = encodings.iter().map(|(id, Encoding { tokens, dim, values })| {
        let start = end;
        end += size_of_val(&values[..]);
        let info = TensorInfo { dtype: Dtype::F32, shape: vec![*tokens, *dim], data_offsets: (start, end) };
        (id.clone(), info)
    });
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let header = Metadata::new(Some(format), infos.collect()).map_err(io::Error::other);
    let written = header.and_then(|header| {
        let mut json = serde_json::to_vec(&header)?;
        // The values are aligned.
        json.resize(json.len().next_multiple_of(size_of::<u64>()), b' ');
        write_atomically(path, |out| {
            out.write_all(&(json.len() as u64).to_le_bytes())?;
            out.write_all(&json)?;
            for value in encodings.values().flat_map(|encoding| encoding.values.iter()) {
                out.write_all(&value.to_le_bytes())?;
            }
            Ok(())
        })
    });
    written.map_err(EncodingsError::io(path))
}
