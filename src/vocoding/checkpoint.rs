//! BigVGAN checkpoints by folder or by name.

use crate::hub::{self, HubError, Wanted};
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

/// What of a repository is needed to make audio.
const GENERATOR: [Wanted; 2] = [&["config.json"], &["bigvgan_generator.safetensors", "bigvgan_generator.pt"]];

/// What training goes on with besides.
const JUDGES: Wanted = &["bigvgan_discriminator_optimizer.pt"];

/// Why there is no BigVGAN.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// Neither a folder nor in the cache nor on the hub.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The folder cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl CheckpointError {
    /// How to get what was not found.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Hub(HubError::NotFound { .. }) => {
                Some("a folder with config.json and bigvgan_generator.pt, or owner/name".to_owned())
            }
            Self::Hub(error) => error.remedy(),
            Self::Network(_) => None,
        }
    }
}

impl BigVganCheckpoint {
    /// Opens a folder, or a repository of the hub.
    pub fn open(name: &str, device: &Device) -> Result<Self, CheckpointError> {
        let folder = folder(name)?;
        Ok(Self { name: name.to_owned(), vocoder: BigVgan::open(&folder, device)? })
    }
}

/// A folder itself, or that of a repository of the hub with a generator.
pub fn folder(name: &str) -> Result<PathBuf, HubError> {
    hub::resolve(name, &GENERATOR)
}

/// The same with the discriminators, where the hub has them and can be reached.
pub fn folder_to_train(name: &str) -> Result<PathBuf, HubError> {
    let [config, weights] = GENERATOR;
    hub::resolve(name, &[config, weights, JUDGES]).or_else(|_| folder(name))
}

/// The generators in the cache, by name.
pub fn cached() -> Vec<(String, BigVganConfig)> {
    let repositories = hub::cache().map(|cache| hub::all(&cache)).unwrap_or_default();
    let read = |folder: &Path| {
        let config: BigVganConfig = serde_json::from_slice(&std::fs::read(folder.join("config.json")).ok()?).ok()?;
        config.validate().ok()?;
        let [_, weights] = GENERATOR;
        weights.iter().any(|file| folder.join(file).is_file()).then_some(config)
    };
    repositories.into_iter().filter_map(|(name, folder)| Some((name, read(&folder)?))).collect()
}

/// A published BigVGAN's name on the hub.
pub fn hub_name(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("nvidia/{name}") }
}
