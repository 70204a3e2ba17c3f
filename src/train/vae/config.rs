//! The configuration of an autoencoder's training. Field names are those of the published scripts and files.

use std::path::PathBuf;

use nocturne_models::network::NetworkConfig;
use nocturne_models::patch_gan::PatchGanConfig;
use nocturne_models::vae::AutoencoderKlConfig;
use serde::{Deserialize, Serialize};

use crate::train::learning_rate::Schedule;
use crate::train::{TrainError, TrainSettings};

/// Everything that the training of an autoencoder depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeConfig {
    /// The autoencoder: diffusers' `config.json`.
    pub model: AutoencoderKlConfig,
    /// What it is trained for.
    pub loss: LossSettings,
    /// The optimisation.
    pub train: TrainSettings,
    /// The folder of the mel dataset.
    pub dataset: PathBuf,
    /// Take the first so many examples only.
    pub max_samples: Option<usize>,
}

/// The loss and its discriminator. Names and defaults are those of the published `lossconfig`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossSettings {
    /// Weight of the divergence, in nats an item, beside absolute differences summed over an item: 1e-6.
    pub kl_weight: f64,
    /// Weight of the perceptual distance, counted once a pixel: 1.
    pub perceptual_weight: f64,
    /// The optimiser step from which the discriminator learns and is listened to: 50 001.
    pub disc_start: u64,
    /// Share of the adversarial gradient in that of the reconstruction, at the decoder's last weights: 0.5.
    pub disc_weight: f64,
    /// Multiplies both losses of the discriminator's game: 1. With 0 there is no discriminator.
    pub disc_factor: f64,
    /// Convolutions of stride two in the discriminator: 3.
    pub disc_num_layers: usize,
    /// Channels behind its first convolution: 64.
    pub disc_ndf: usize,
    /// The linear layers of LPIPS, `vgg.pth` of lpips or taming-transformers. Without them the perceptual distance is
    /// our own over gradients and patch-wise spectra.
    pub lpips_weights: Option<PathBuf>,
    /// The VGG16 of LPIPS, torchvision's `vgg16-*.pth`.
    pub vgg_weights: Option<PathBuf>,
}

impl Default for LossSettings {
    fn default() -> Self {
        Self {
            kl_weight: 1e-6,
            perceptual_weight: 1.0,
            disc_start: 50_001,
            disc_weight: 0.5,
            disc_factor: 1.0,
            disc_num_layers: 3,
            disc_ndf: 64,
            lpips_weights: None,
            vgg_weights: None,
        }
    }
}

impl LossSettings {
    /// Refuses values that cannot work.
    pub fn validate(&self) -> Result<(), TrainError> {
        let weights = [
            ("loss.kl_weight", self.kl_weight),
            ("loss.perceptual_weight", self.perceptual_weight),
            ("loss.disc_weight", self.disc_weight),
            ("loss.disc_factor", self.disc_factor),
        ];
        for (field, value) in weights {
            if !(value.is_finite() && value >= 0.0) {
                let expected = "a number of 0 or more".to_owned();
                return Err(TrainError::Config { field, found: value.to_string(), expected });
            }
        }
        match (&self.lpips_weights, &self.vgg_weights) {
            (Some(_), None) => Err(missing("loss.vgg_weights")),
            (None, Some(_)) => Err(missing("loss.lpips_weights")),
            _ => Ok(()),
        }
    }

    /// Whether the discriminator plays in the step after `steps`.
    pub fn adversarial(&self, steps: u64) -> bool {
        self.disc_factor > 0.0 && steps >= self.disc_start
    }

    /// The discriminator for pictures of `channels`.
    pub fn discriminator(&self, channels: usize) -> PatchGanConfig {
        PatchGanConfig { input_nc: channels, ndf: self.disc_ndf, n_layers: self.disc_num_layers }
    }
}

fn missing(field: &'static str) -> TrainError {
    let (found, expected) = ("absent".to_owned(), "a file: LPIPS needs both of its own".to_owned());
    TrainError::Config { field, found, expected }
}

/// The optimisation of the published scripts: items one by one, Adam at a constant rate, no average, no clipping.
pub fn train_settings() -> TrainSettings {
    TrainSettings {
        train_batch_size: 1,
        learning_rate: 4.5e-6,
        lr_scheduler: Schedule::Constant,
        lr_warmup_steps: 0,
        adam_beta1: 0.5,
        adam_beta2: 0.9,
        adam_weight_decay: 0.0,
        max_grad_norm: None,
        use_ema: false,
        ..TrainSettings::default()
    }
}

impl VaeConfig {
    /// Refuses values that cannot work on mels of `[channel, mel, frame]`.
    pub fn validate(&self, shape: [usize; 3]) -> Result<(), TrainError> {
        self.train.validate()?;
        self.loss.validate()?;
        self.model.validate()?;
        if self.max_samples == Some(0) {
            let (found, expected) = ("0".to_owned(), "1 or more".to_owned());
            return Err(TrainError::Config { field: "max_samples", found, expected });
        }
        let [channels, mels, frames] = shape;
        let (taken, given) = (self.model.in_channels, self.model.out_channels);
        let misshapen = |expected| TrainError::Shape { found: shape, expected };
        if channels != taken || channels != given {
            return Err(misshapen(format!("{taken} channels in and {given} out")));
        }
        self.model.check_size([mels, frames]).map_err(|error| misshapen(error.expected))?;
        let discriminator = self.loss.discriminator(channels);
        discriminator.validate()?;
        if self.loss.disc_factor > 0.0 {
            discriminator
                .check_size([mels, frames])
                .map_err(|error| misshapen(format!("{}; `loss.disc_factor=0` trains without it", error.expected)))?;
        }
        Ok(())
    }
}
