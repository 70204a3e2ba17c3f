//! BigVGAN checkpoints by folder or by name.

use super::hub;
use burn::tensor::Device;
use nocturne_models::network::{NetworkConfig, NetworkError};
use nocturne_vocoder::bigvgan::{BigVgan, BigVganConfig};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A BigVGAN, and what to call it.
#[derive(Debug)]
pub struct BigVganCheckpoint {
    /// As the user, or the model, names it.
    pub name: String,
    /// The network.
    pub vocoder: BigVgan,
}

/// Why there is no BigVGAN.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// Neither a folder nor in the cache.
    #[error(
        "`{name}` is neither a folder nor in the Hugging Face cache{}",
        cache.as_ref().map_or_else(String::new, |cache| format!(" `{}`", cache.display()))
    )]
    NotFound {
        /// What was looked for.
        name: String,
        /// The cache of this machine.
        cache: Option<PathBuf>,
    },
    /// The folder cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl CheckpointError {
    /// How to get what was not found.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::NotFound { name, .. } if hub::is_name(name) => Some(format!(
                "`hf download {name} config.json bigvgan_generator.pt` fetches it into the cache (pip install huggingface_hub)"
            )),
            Self::NotFound { .. } => {
                Some("a folder with config.json and bigvgan_generator.pt, or owner/name".to_owned())
            }
            Self::Network(_) => None,
        }
    }
}

impl BigVganCheckpoint {
    /// Opens a folder, or a repository of the hub that is in the cache.
    pub fn open(name: &str, device: &Device) -> Result<Self, CheckpointError> {
        let folder = folder(name)?;
        Ok(Self { name: name.to_owned(), vocoder: BigVgan::open(&folder, device)? })
    }
}

/// A folder itself, or that of a repository of the hub in the cache.
pub fn folder(name: &str) -> Result<PathBuf, CheckpointError> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let cache = hub::cache();
    let found = cache.as_deref().filter(|_| hub::is_name(name)).and_then(|cache| hub::find(cache, name));
    found.ok_or_else(|| CheckpointError::NotFound { name: name.to_owned(), cache })
}

/// The generators in the cache, by name.
pub fn cached() -> Vec<(String, BigVganConfig)> {
    let repositories = hub::cache().map(|cache| hub::all(&cache)).unwrap_or_default();
    let read = |folder: &Path| {
        let config: BigVganConfig = serde_json::from_slice(&std::fs::read(folder.join("config.json")).ok()?).ok()?;
        config.validate().ok()?;
        let weights = ["bigvgan_generator.safetensors", "bigvgan_generator.pt"];
        weights.iter().any(|file| folder.join(file).is_file()).then_some(config)
    };
    repositories.into_iter().filter_map(|(name, folder)| Some((name, read(&folder)?))).collect()
}

/// A published BigVGAN's name on the hub.
pub fn hub_name(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("nvidia/{name}") }
}
