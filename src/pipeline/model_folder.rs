//! The model folder, as diffusers saves an `AudioDiffusionPipeline`.

use crate::representation::{RepresentationConfig, RepresentationError};
use burn::tensor::Device;
use nocturne_models::backbone::{Backbone, BackboneConfig, BackboneKind};
use nocturne_models::diffusion::{DiffusionError, SchedulerConfig};
use nocturne_models::files::write_atomic;
use nocturne_models::network::{self, ConfigError, NetworkError};
use nocturne_models::vae::{AutoencoderKl, AutoencoderKlConfig};

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The version that the folder's files name: the last one whose `AudioDiffusionPipeline` was not deprecated.
const DIFFUSERS_VERSION: &str = "0.24.0";

/// The folder of the VAE.
const VAE: &str = "vqvae";

/// A model folder that cannot be read or written.
#[derive(Debug, Error)]
pub enum ModelFolderError {
    /// There is no model.
    #[error("`{path}` is not a model folder: it has no `{missing}`")]
    NotAModel {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        missing: &'static str,
    },
    /// The network and the mel do not fit each other.
    #[error("`{path}`: the network makes {network:?} (height, width), the mel and the VAE ask for {mel:?}")]
    Size {
        /// The folder.
        path: PathBuf,
        /// What the network was trained on.
        network: [usize; 2],
        /// What the mel's configuration, and the VAE's, say.
        mel: [usize; 2],
    },
    /// The VAE does not take such mels.
    #[error("`{path}`: the VAE does not fit the mel: {source}")]
    Vae {
        /// The folder.
        path: PathBuf,
        /// The field.
        source: Box<ConfigError>,
    },
    /// The network and the VAE do not fit each other.
    #[error("`{path}`: the network takes {network} channels, the VAE's latents have {latent}")]
    Channels {
        /// The folder.
        path: PathBuf,
        /// The network's.
        network: usize,
        /// The latents'.
        latent: usize,
    },
    /// The file system refused.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The network cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The scheduler's configuration cannot be used.
    #[error(transparent)]
    Scheduler(#[from] DiffusionError),
    /// The mel's configuration cannot be used.
    #[error(transparent)]
    Mel(#[from] RepresentationError),
}

/// What a model folder says beside its weights.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The denoising network's `config.json`.
    pub network: BackboneConfig,
    /// `vqvae/config.json`, where the network works on latents. The published folders call the VAE so.
    pub vae: Option<AutoencoderKlConfig>,
    /// `scheduler/scheduler_config.json`.
    pub scheduler: SchedulerConfig,
    /// `mel/mel_config.json`.
    pub mel: RepresentationConfig,
}

/// The networks of a model folder, on their device.
#[derive(Clone, Debug)]
pub struct Networks {
    /// What denoises.
    pub backbone: Backbone,
    /// What turns latents into mels.
    pub vae: Option<AutoencoderKl>,
}

impl ModelFolder {
    /// Reads a folder that we, diffusers or the published scripts wrote, and its networks onto a device.
    pub fn open(path: &Path, device: &Device) -> Result<(Self, Networks), ModelFolderError> {
        let need = |file: &'static str| {
            let found = path.join(file);
            if found.is_file() {
                Ok(found)
            } else {
                Err(ModelFolderError::NotAModel { path: path.to_owned(), missing: file })
            }
        };
        let part =
            part(path).ok_or(ModelFolderError::NotAModel { path: path.to_owned(), missing: "unet/config.json" })?;
        let scheduler = SchedulerConfig::load(&need("scheduler/scheduler_config.json")?)?;
        let mel = RepresentationConfig::open(&need("mel/mel_config.json")?)?;
        let (vae, decoder) = match path.join(VAE) {
            folder if folder.is_dir() => {
                let (config, vae) = network::open::<AutoencoderKlConfig>(&folder, device)?;
                (Some(config), Some(vae))
            }
            _ => (None, None),
        };
        let (network, backbone) = network::open::<BackboneConfig>(&path.join(part), device)?;
        let folder = Self { network, vae, scheduler, mel };
        folder.check(path)?;
        Ok((folder, Networks { backbone, vae: decoder }))
    }

    /// Refuses parts that do not fit each other.
    fn check(&self, path: &Path) -> Result<(), ModelFolderError> {
        let mel = [self.mel.mel.y_res, self.mel.mel.x_res];
        if let Some(vae) = &self.vae {
            vae.check_size(mel)
                .map_err(|source| ModelFolderError::Vae { path: path.to_owned(), source: Box::new(source) })?;
            if vae.latent_channels != self.network.in_channels() {
                let (latent, network) = (vae.latent_channels, self.network.in_channels());
                return Err(ModelFolderError::Channels { path: path.to_owned(), network, latent });
            }
        }
        let [_, height, width] = self.sample_shape();
        match self.network.sample_size() {
            Some(network) if network != [height, width] => {
                Err(ModelFolderError::Size { path: path.to_owned(), network, mel: [height, width] })
            }
            _ => Ok(()),
        }
    }

    /// `[channel, height, width]` of what the network denoises: a mel, or its latent.
    pub fn sample_shape(&self) -> [usize; 3] {
        let factor = self.vae.as_ref().map_or(1, AutoencoderKlConfig::factor);
        [self.network.in_channels(), self.mel.mel.y_res / factor, self.mel.mel.x_res / factor]
    }

    /// Writes the whole folder; each file is replaced atomically.
    pub fn write(&self, path: &Path, backbone: &Backbone, vae: Option<&AutoencoderKl>) -> Result<(), ModelFolderError> {
        for part in ["scheduler", "mel"] {
            let folder = path.join(part);
            std::fs::create_dir_all(&folder)
                .map_err(|source| ModelFolderError::Write { path: folder.clone(), source })?;
        }
        network::save(&self.network, backbone, &path.join(self.network.kind().part()))?;
        if let (Some(config), Some(vae)) = (&self.vae, vae) {
            network::save(config, vae, &path.join(VAE))?;
        }
        self.scheduler.save(&path.join("scheduler/scheduler_config.json"))?;
        write_text(&path.join("mel/mel_config.json"), &self.mel.to_json())?;
        write_text(&path.join("model_index.json"), &self.index())
    }

    fn index(&self) -> String {
        let mut index = json!({
            "_class_name": "AudioDiffusionPipeline",
            "_diffusers_version": DIFFUSERS_VERSION,
            "mel": ["diffusers", "Mel"],
            "scheduler": ["diffusers", self.scheduler.class.name()],
            "vqvae": if self.vae.is_some() { ["diffusers".into(), "AutoencoderKL".into()] } else { [Value::Null, Value::Null] },
        });
        let kind = self.network.kind();
        index[kind.part()] = json!(["diffusers", kind.class_name()]);
        format!("{index:#}\n")
    }
}

/// The folder of the denoising network in a model folder.
fn part(path: &Path) -> Option<&'static str> {
    BackboneKind::ALL.into_iter().map(BackboneKind::part).find(|part| path.join(part).join("config.json").is_file())
}

/// Opens a VAE by itself, or that of a model folder.
pub fn open_vae(path: &Path, device: &Device) -> Result<(AutoencoderKlConfig, AutoencoderKl), NetworkError> {
    let inside = path.join(VAE);
    network::open(if inside.is_dir() { &inside } else { path }, device)
}

/// Writes an autoencoder by itself, for [`open_vae`] and for diffusers, and beside it the mel that it is for.
pub fn write_vae(
    path: &Path,
    config: &AutoencoderKlConfig,
    network: &AutoencoderKl,
    mel: &RepresentationConfig,
) -> Result<(), ModelFolderError> {
    network::save(config, network, path)?;
    let folder = path.join("mel");
    std::fs::create_dir_all(&folder).map_err(|source| ModelFolderError::Write { path: folder.clone(), source })?;
    write_text(&folder.join("mel_config.json"), &mel.to_json())
}

fn write_text(path: &Path, text: &str) -> Result<(), ModelFolderError> {
    write_atomic(path, text.as_bytes()).map_err(|source| ModelFolderError::Write { path: path.to_owned(), source })
}
