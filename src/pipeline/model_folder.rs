//! The model folder, as diffusers saves an `AudioDiffusionPipeline`.

use crate::representation::{RepresentationConfig, RepresentationError};
use burn::tensor::Device;
use nocturne_models::backbone::{Backbone, BackboneConfig};
use nocturne_models::diffusion::{DiffusionError, SchedulerClass, SchedulerConfig};
use nocturne_models::files::write_atomic;
use nocturne_models::network::{self, NetworkError};

use serde_json::json;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The version that the folder's files name: the last one whose `AudioDiffusionPipeline` was not deprecated.
const DIFFUSERS_VERSION: &str = "0.24.0";

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
    /// A part of the model that this version does not run.
    #[error("`{path}` has a `{part}`, which this version of nocturne cannot use yet")]
    Unsupported {
        /// The folder.
        path: PathBuf,
        /// The part.
        part: &'static str,
    },
    /// The network and the mel do not fit each other.
    #[error("`{path}`: the network makes {network:?} (bands, frames), `mel_config.json` says {mel:?}")]
    Size {
        /// The folder.
        path: PathBuf,
        /// What the network was trained on.
        network: [usize; 2],
        /// What the mel's configuration says.
        mel: [usize; 2],
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
    /// `unet/config.json`.
    pub network: BackboneConfig,
    /// `scheduler/scheduler_config.json`.
    pub scheduler: SchedulerConfig,
    /// `mel/mel_config.json`.
    pub mel: RepresentationConfig,
}

impl ModelFolder {
    /// Reads a folder that we, diffusers or the published scripts wrote, and its network onto a device.
    pub fn open(path: &Path, device: &Device) -> Result<(Self, Backbone), ModelFolderError> {
        let need = |file: &'static str| {
            let found = path.join(file);
            if found.is_file() {
                Ok(found)
            } else {
                Err(ModelFolderError::NotAModel { path: path.to_owned(), missing: file })
            }
        };
        need("unet/config.json")?;
        let scheduler = SchedulerConfig::load(&need("scheduler/scheduler_config.json")?)?;
        let mel = RepresentationConfig::open(&need("mel/mel_config.json")?)?;
        if path.join("vqvae").is_dir() {
            return Err(ModelFolderError::Unsupported { path: path.to_owned(), part: "vqvae" });
        }
        let (network_config, network) = network::open::<BackboneConfig>(&path.join("unet"), device)?;
        let sizes = (network_config.sample_size(), [mel.mel.y_res, mel.mel.x_res]);
        if let (Some(network), mel) = sizes
            && network != mel
        {
            return Err(ModelFolderError::Size { path: path.to_owned(), network, mel });
        }
        Ok((Self { network: network_config, scheduler, mel }, network))
    }

    /// Writes the whole folder; each file is replaced atomically.
    pub fn write(&self, path: &Path, network: &Backbone) -> Result<(), ModelFolderError> {
        for part in ["unet", "scheduler", "mel"] {
            let folder = path.join(part);
            std::fs::create_dir_all(&folder)
                .map_err(|source| ModelFolderError::Write { path: folder.clone(), source })?;
        }
        network::save(&self.network, network, &path.join("unet"))?;
        self.scheduler.save(&path.join("scheduler/scheduler_config.json"))?;
        write_text(&path.join("mel/mel_config.json"), &self.mel.to_json())?;
        write_text(&path.join("model_index.json"), &self.index())
    }

    fn index(&self) -> String {
        let scheduler = match self.scheduler.class {
            SchedulerClass::Ddpm => "DDPMScheduler",
            SchedulerClass::Ddim => "DDIMScheduler",
        };
        let index = json!({
            "_class_name": "AudioDiffusionPipeline",
            "_diffusers_version": DIFFUSERS_VERSION,
            "mel": ["diffusers", "Mel"],
            "scheduler": ["diffusers", scheduler],
            "unet": ["diffusers", "UNet2DModel"],
            "vqvae": [null, null],
        });
        format!("{index:#}\n")
    }
}

fn write_text(path: &Path, text: &str) -> Result<(), ModelFolderError> {
    write_atomic(path, text.as_bytes()).map_err(|source| ModelFolderError::Write { path: path.to_owned(), source })
}
