//! Embeddings that were made before, found by what they were made of.
//!
//! A folder for every model and profile, in it a `.npy` file for every sound, named by the SHA-256 of its file's bytes: a changed
//! file is heard again, a renamed one is not. Files appear whole or not at all, so that several processes can share the folder.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2};

use crate::npy;

/// The vectors of one model and profile.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// In `root`, for an embedder's key.
    pub fn new(root: &Path, key: &str) -> Self {
        Self { folder: root.join(key) }
    }

    /// The vectors of a file with this hash, `[frame, dim]`. What cannot be read is as if it were not there.
    pub fn find(&self, hash: &str) -> Option<Array2<f32>> {
        let array = npy::read::<f32>(&self.file(hash)).ok()?;
        let [frames, dim] = array.shape.as_slice() else { return None };
        Array2::from_shape_vec((*frames, *dim), array.values).ok()
    }

    /// Keeps vectors.
    pub fn keep(&self, hash: &str, vectors: ArrayView2<f32>) -> io::Result<()> {
        let file = self.file(hash);
        fs::create_dir_all(file.parent().unwrap_or(&self.folder))?;
        let values: Vec<f32> = vectors.iter().copied().collect();
        npy::write(&file, vectors.shape(), &values).map_err(io::Error::other)
    }

    /// Two letters a folder: a folder of 100,000 files is slow on many systems.
    fn file(&self, hash: &str) -> PathBuf {
        self.folder.join(&hash[..hash.len().min(2)]).join(format!("{hash}.npy"))
    }
}

/// A folder of the user's cache: `$XDG_CACHE_HOME/nocturne/NAME`, else `~/.cache/nocturne/NAME`; none where neither is set.
pub fn default_folder(name: &str) -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(root.join("nocturne").join(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::array;

    use super::*;

    #[test]
    fn vectors_are_found_by_hash_and_key() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::new(root.path(), "model-1");
        assert_eq!(cache.find("abcd"), None);
        let vectors = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        cache.keep("abcd", vectors.view()).unwrap();
        assert_eq!(cache.find("abcd"), Some(vectors));
        assert_eq!(cache.find("abce"), None);
        assert_eq!(Cache::new(root.path(), "model-2").find("abcd"), None);
        fs::write(root.path().join("model-1/ab/abcd.npy"), b"half").unwrap();
        assert_eq!(cache.find("abcd"), None, "what is damaged is made again");
    }
}
