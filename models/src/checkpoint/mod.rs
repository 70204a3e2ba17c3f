//! Reading and writing weights as PyTorch, diffusers and transformers publish them.
//!
//! A [`Checkpoint`] is opened lazily: names and shapes are read and checked, values stay in the file. Formats:
//! safetensors, one file or shards with an `*.index.json`, and the pickles of `torch.save`, which are parsed and never
//! executed.

mod best_state;
mod error;
mod load;
mod omega_conf;
mod pickle;
mod safetensors;
mod save;
mod sharded;
mod split;
mod stacked;
#[cfg(test)]
mod testing;
mod transposed;
mod values;
mod weight_norm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{CheckpointError, Mismatch};
pub use load::load;
pub use omega_conf::OmegaConf;
pub use pickle::text;
pub use save::{Named, save, write};
use values::{Source, Stored};

/// The names under which Hugging Face's libraries, and BigVGAN's, save a network's weights, in the order of preference.
const STEMS: [&str; 4] = ["diffusion_pytorch_model", "model", "pytorch_model", "bigvgan_generator"];
const ENDINGS: [&str; 5] = ["safetensors", "safetensors.index.json", "bin", "bin.index.json", "pt"];

/// Named tensors of a file, or of a set of shards; their values are read when asked for.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: BTreeMap<String, Arc<Stored>>,
}

impl Checkpoint {
    /// Opens `.safetensors`, a shard index `.json`, a pickle (`.bin`, `.pt`, `.pth`, `.ckpt`, …), or a folder that holds
    /// one of these under a name that the published libraries use, safetensors first.
    ///
    /// # Errors
    ///
    /// If nothing readable is there, or if the file contradicts itself: lengths beyond its end, gaps or overlaps, shapes
    /// that do not fit the bytes.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let path = if path.is_dir() { find_in(path)? } else { path.to_owned() };
        let tensors = if is_index(&path) { sharded::open(&path)? } else { open_single(&path)? };
        let tensors = tensors.into_iter().map(|(name, stored)| (name, Arc::new(stored))).collect();
        Ok(Self { path, tensors })
    }

    /// The file that was opened (of shards, the index).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape())
    }

    /// The values of a tensor, in row-major order; f16, bf16 and f64 become f32.
    ///
    /// # Errors
    ///
    /// If the tensor is absent, is not of floating point, or cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        match self.tensors.get(name) {
            Some(stored) => stored.read(name),
            None => Err(CheckpointError::tensor(&self.path, name, "no such tensor", "a tensor of this name")),
        }
    }

    /// The same tensors under other names; those for which `name` gives `None` are left out. For checkpoints that nest
    /// a network (`state_dict.`, `generator.`), hold several, or use older names.
    ///
    /// # Errors
    ///
    /// If two tensors come to have one name.
    pub fn rename(self, name: impl Fn(&str) -> Option<String>) -> Result<Self, CheckpointError> {
        let mut tensors = BTreeMap::new();
        for (old, stored) in self.tensors {
            let Some(new) = name(&old) else { continue };
            if tensors.insert(new.clone(), stored).is_some() {
                return Err(CheckpointError::tensor(&self.path, &new, "two tensors of this name", "one"));
            }
        }
        Ok(Self { path: self.path, tensors })
    }

    /// Adds a tensor that is made of others, which stand in `file`.
    fn add(&mut self, name: String, file: PathBuf, source: Source) -> Result<(), CheckpointError> {
        if self.tensors.contains_key(&name) {
            return Err(CheckpointError::tensor(&self.path, &name, "it and what it is made of", "one of them"));
        }
        self.tensors.insert(name, Arc::new(Stored { file, source }));
        Ok(())
    }
}

/// The files that [`Checkpoint::open`] reads, of shards the index first.
///
/// # Errors
///
/// If there are none, or the index cannot be read.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let path = if path.is_dir() { find_in(path)? } else { path.to_owned() };
    if is_index(&path) { sharded::files(&path) } else { Ok(vec![path]) }
}

fn is_index(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn find_in(folder: &Path) -> Result<PathBuf, CheckpointError> {
    let names = STEMS.iter().flat_map(|stem| ENDINGS.iter().map(move |ending| format!("{stem}.{ending}")));
    names
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| CheckpointError::NoWeights { folder: folder.to_owned() })
}

/// Opens a file that is not an index.
fn open_single(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => safetensors::open(path),
        _ => pickle::open(path),
    }
}
