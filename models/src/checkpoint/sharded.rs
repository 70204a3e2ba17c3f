use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use serde::Deserialize;

use super::CheckpointError;
use super::values::Stored;

const MAX_INDEX: u64 = 100_000_000;

/// `model.safetensors.index.json`: which file holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens every shard that an index names. A shard lies beside its index: a name that leads elsewhere is refused.
pub(super) fn open(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    let file = File::open(path).map_err(CheckpointError::io(path))?;
    let mut text = String::new();
    file.take(MAX_INDEX).read_to_string(&mut text).map_err(CheckpointError::io(path))?;
    let Index { weight_map } = serde_json::from_str(&text)
        .map_err(|error| CheckpointError::format(path, "weight_map", error, "a shard index"))?;

    let folder = path.parent().unwrap_or(Path::new(""));
    let mut shards: HashMap<String, HashMap<String, Stored>> = HashMap::new();
    let mut tensors = Vec::with_capacity(weight_map.len());
    for (name, shard) in weight_map {
        if !shards.contains_key(&shard) {
            if !is_plain_file_name(&shard) {
                let found = format!("{shard:?}");
                return Err(CheckpointError::format(path, "weight_map", found, "file names without folders"));
            }
            let opened = super::open_single(&folder.join(&shard))?;
            shards.insert(shard.clone(), opened.into_iter().collect());
        }
        let stored = shards.get_mut(&shard).and_then(|tensors| tensors.remove(&name)).ok_or_else(|| {
            CheckpointError::tensor(&folder.join(&shard), &name, "no such tensor", "one, as the index says")
        })?;
        tensors.push((name, stored));
    }
    Ok(tensors)
}

fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    // A backslash separates folders on Windows.
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
        && !name.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_beside_the_index_are_plain() {
        assert!(is_plain_file_name("model-00001-of-00002.safetensors"));
        for name in ["", ".", "..", "../a", "/etc/passwd", "a/b", "a/", "./a", "a\\b", "..\\a"] {
            assert!(!is_plain_file_name(name), "{name}");
        }
    }
}
