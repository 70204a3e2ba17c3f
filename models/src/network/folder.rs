use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::{ConfigError, NetworkConfig};
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::files;

const CONFIG: &str = "config.json";

/// Why a network's folder cannot be opened or saved.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// `config.json` cannot be read or written.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// `config.json` is not of the right form.
    #[error("{}: {source}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// `config.json` describes no network of ours.
    #[error("{}: {source}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// The field.
        source: ConfigError,
    },
    /// The weights cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Opens a folder of diffusers or transformers: `config.json` and weights.
///
/// # Errors
///
/// Names the file, and in it the field or tensor, that is missing or not as it should be.
pub fn open<C: NetworkConfig>(folder: &Path, device: &Device) -> Result<(C, C::Network), NetworkError> {
    open_as(folder, device, |network| network)
}

/// The same with a network that `prepare` makes of the one without values.
///
/// # Errors
///
/// As [`open`].
pub fn open_as<C: NetworkConfig>(
    folder: &Path,
    device: &Device,
    prepare: impl FnOnce(C::Network) -> C::Network,
) -> Result<(C, C::Network), NetworkError> {
    let config: C = read_config(folder)?;
    let network = config.fill(prepare(config.build(device)), Checkpoint::open(folder)?)?;
    Ok((config, network))
}

/// The `config.json` of such a folder.
///
/// # Errors
///
/// Names the file, and in it the field that is missing or not as it should be.
pub fn read_config<C: NetworkConfig>(folder: &Path) -> Result<C, NetworkError> {
    let file = folder.join(CONFIG);
    let text = std::fs::read(&file).map_err(|source| NetworkError::Io { file: file.clone(), source })?;
    let config: C =
        serde_json::from_slice(&text).map_err(|source| NetworkError::Json { file: file.clone(), source })?;
    config.validate().map_err(|source| NetworkError::Config { file, source })?;
    Ok(config)
}

/// Writes a folder that `from_pretrained` of the published library and [`open`] open.
///
/// # Errors
///
/// If a file cannot be written.
pub fn save<C: NetworkConfig>(config: &C, network: &C::Network, folder: &Path) -> Result<(), NetworkError> {
    let file = folder.join(CONFIG);
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        let text = serde_json::to_string_pretty(config)?;
        files::write_atomic(&file, text.as_bytes())
    });
    written.map_err(|source| NetworkError::Io { file, source })?;
    Ok(checkpoint::save(network, &folder.join(C::WEIGHTS))?)
}
