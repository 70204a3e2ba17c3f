//! The dictionaries `{audio_file: tensor}` that the published scripts write with `pickle.dump`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::store::{token_shape, wrong_shape};
use super::{Encoding, EncodingsError};
use crate::pickle::machine::{self, Object, Pickle, Value};
use crate::pickle::tensor::{self, Budget};
use crate::pickle::{Fault, Storages};

/// Reads the tensors of a pickled dictionary.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Encoding>, EncodingsError> {
    let bytes = std::fs::read(path).map_err(EncodingsError::io(path))?;
    parse(path, &bytes)
}

/// [`read`] of the bytes of the file `path`.
fn parse(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Encoding>, EncodingsError> {
    let wrong = |Fault { found, expected }| EncodingsError::Pickle { file: path.to_owned(), found, expected };
    let (pickle, _) = machine::parse(bytes).map_err(wrong)?;
    let Some(Object::Dict(entries)) = pickle.object(pickle.root) else {
        return Err(wrong(Fault::new(pickle.describe(pickle.root), "a dictionary")));
    };
    let mut budget = Budget::of(bytes.len());
    let mut all = BTreeMap::new();
    // One tensor may be the value of many keys.
    let mut known: HashMap<usize, Encoding> = HashMap::new();
    for (key, value) in entries {
        let Value::Text(id) = *key else {
            return Err(wrong(Fault::new(format!("the key {}", pickle.describe(*key)), "a name")));
        };
        let encoding = match *value {
            Value::Object(index) if known.contains_key(&index) => known[&index].clone(),
            value => encoding(path, id, &pickle, value, &mut budget)?,
        };
        if let Value::Object(index) = *value {
            known.insert(index, encoding.clone());
        }
        // As in Python, the last value of a key is its value.
        all.insert(id.to_owned(), encoding);
    }
    Ok(all)
}

fn encoding(
    path: &Path,
    id: &str,
    pickle: &Pickle,
    value: Value,
    budget: &mut Budget,
) -> Result<Encoding, EncodingsError> {
    let (shape, values) = tensor::read(pickle, value, &Storages::new(), budget)
        .map_err(|Fault { found, expected }| EncodingsError::invalid(path, id, found, expected))?;
    let [tokens, dim] = token_shape(&shape).map_err(|found| wrong_shape(path, id, &found))?;
    Ok(Encoding { tokens, dim, values: values.into() })
}

#[cfg(test)]
mod tests;
