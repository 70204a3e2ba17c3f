use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::CheckpointError;
use super::values::Stored;
use crate::files::is_plain_file_name;

const MAX_INDEX: u64 = 100_000_000;

/// `model.safetensors.index.json`: which file holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// A shard lies beside its index: a name that leads elsewhere is refused.
    fn read(path: &Path) -> Result<Self, CheckpointError> {
        let file = File::open(path).map_err(CheckpointError::io(path))?;
        let mut text = String::new();
        file.take(MAX_INDEX).read_to_string(&mut text).map_err(CheckpointError::io(path))?;
        let index: Self = serde_json::from_str(&text)
            .map_err(|error| CheckpointError::format(path, "weight_map", error, "a shard index"))?;
        match index.weight_map.values().find(|shard| !is_plain_file_name(shard)) {
            Some(shard) => {
                let found = format!("{shard:?}");
                Err(CheckpointError::format(path, "weight_map", found, "file names without folders"))
            }
            None => Ok(index),
        }
    }
}

/// The index and every shard that it names.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let index = Index::read(path)?;
    let shards: BTreeSet<&String> = index.weight_map.values().collect();
    let beside = shards.into_iter().map(|shard| path.with_file_name(shard));
    Ok(std::iter::once(path.to_owned()).chain(beside).collect())
}

/// Opens every shard that an index names.
pub(super) fn open(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    let Index { weight_map } = Index::read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut shards: HashMap<String, HashMap<String, Stored>> = HashMap::new();
    let mut tensors = Vec::with_capacity(weight_map.len());
    for (name, shard) in weight_map {
        if !shards.contains_key(&shard) {
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
