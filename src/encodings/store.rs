use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nocturne_models::checkpoint::Checkpoint;

use super::{EncodingsError, ShortNames, column, pickle};

/// What one caption or recording was encoded to.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// How many vectors.
    pub tokens: usize,
    /// The width of each.
    pub dim: usize,
    /// `[token, dim]`
    pub values: Arc<[f32]>,
}

/// Encodings by the id of what they encode, all of one width; lengths may differ.
#[derive(Debug)]
pub struct Encodings {
    path: PathBuf,
    dim: usize,
    by_id: BTreeMap<String, Encoding>,
    short: ShortNames,
}

impl Encodings {
    /// Reads safetensors with a `[token, dim]` tensor an id, or a pickled dictionary `{id: tensor}` of the published
    /// scripts, saved by `pickle.dump` or `torch.save`, of PyTorch's tensors or `NumPy`'s arrays. Vectors `[dim]` and tensors
    /// `[1, token, dim]` are taken, too. A pickle is parsed, never executed. A folder is a dataset with a column `encoding`:
    /// the ids are its recordings.
    ///
    /// # Errors
    ///
    /// If the file is of no such form, or empty, or its encodings differ in width or hold something not finite.
    pub fn open(path: &Path) -> Result<Self, EncodingsError> {
        let by_id = if path.is_dir() {
            column::read(path)?
        } else if is_plain_pickle(path)? {
            pickle::read(path)?
        } else {
            read_checkpoint(path)?
        };
        Self::new(path, by_id)
    }

    /// Encodings by id, to be told of as those of the file `path`.
    ///
    /// # Errors
    ///
    /// If there are none, or they differ in width or hold something not finite.
    pub fn new(path: &Path, by_id: BTreeMap<String, Encoding>) -> Result<Self, EncodingsError> {
        let Some((first, Encoding { dim, .. })) = by_id.iter().next() else {
            return Err(EncodingsError::Empty { file: path.to_owned() });
        };
        let dim = *dim;
        if let Some((id, other)) = by_id.iter().find(|(_, encoding)| encoding.dim != dim) {
            let (found, expected) = (format!("width {}", other.dim), format!("{dim} as of {first:?}"));
            return Err(EncodingsError::invalid(path, id, found, expected));
        }
        if let Some((id, _)) = by_id.iter().find(|(_, encoding)| encoding.values.iter().any(|v| !v.is_finite())) {
            return Err(EncodingsError::invalid(path, id, "a value that is not finite", "finite numbers"));
        }
        let short = ShortNames::new(by_id.keys());
        Ok(Self { path: path.to_owned(), dim, by_id, short })
    }

    /// The width of all of them.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The ids, sorted.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// The encoding of an id, as [`Encodings::lookup`] finds it.
    pub fn get(&self, id: &str) -> Option<&Encoding> {
        self.lookup(id).ok()
    }

    /// The encoding of exactly this id, as the published loader finds it; else of the one id that has the same file name
    /// without its folder; else of the one that has the same without an audio file's extension.
    ///
    /// # Errors
    ///
    /// If there is none, or if the name without folder or extension is that of several.
    pub fn lookup(&self, id: &str) -> Result<&Encoding, EncodingsError> {
        if let Some(encoding) = self.by_id.get(id) {
            return Ok(encoding);
        }
        match self.short.find(id) {
            Some((only, None)) => Ok(&self.by_id[only]),
            Some((first, Some(second))) => Err(EncodingsError::Ambiguous {
                file: self.path.clone(),
                id: id.to_owned(),
                first: first.to_owned(),
                second: second.to_owned(),
            }),
            None => Err(EncodingsError::Absent { file: self.path.clone(), id: id.to_owned() }),
        }
    }
}

/// Whether a file was written by `pickle.dump` and not by `torch.save`, which also begins with a pickle, but with a magic
/// number alone in it.
fn is_plain_pickle(path: &Path) -> Result<bool, EncodingsError> {
    const PICKLE: u8 = 0x80;
    const TORCH: [u8; 11] = *b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50";
    let mut start = Vec::new();
    let file = File::open(path).map_err(EncodingsError::io(path))?;
    file.take(13).read_to_end(&mut start).map_err(EncodingsError::io(path))?;
    let safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
    Ok(!safetensors && start.first() == Some(&PICKLE) && start.get(2..) != Some(&TORCH))
}

fn read_checkpoint(path: &Path) -> Result<BTreeMap<String, Encoding>, EncodingsError> {
    let file = Checkpoint::open(path)?;
    let mut all = BTreeMap::new();
    for id in file.names() {
        let shape = file.shape(id).unwrap_or_default();
        let [tokens, dim] = token_shape(shape).map_err(|found| wrong_shape(path, id, &found))?;
        all.insert(id.to_owned(), Encoding { tokens, dim, values: file.read(id)?.into() });
    }
    Ok(all)
}

/// `[dim]`, `[token, dim]` or `[1, token, dim]` as `[token, dim]`; else the shape in words.
pub(super) fn token_shape(shape: &[usize]) -> Result<[usize; 2], String> {
    match *shape {
        [dim] if dim > 0 => Ok([1, dim]),
        [tokens, dim] | [1, tokens, dim] if tokens > 0 && dim > 0 => Ok([tokens, dim]),
        _ => Err(format!("shape {shape:?}")),
    }
}

pub(super) fn wrong_shape(path: &Path, id: &str, found: &str) -> EncodingsError {
    EncodingsError::invalid(path, id, found, "[token, dim], neither of them 0")
}
