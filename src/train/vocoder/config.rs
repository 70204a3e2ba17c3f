//! The configuration of a vocoder's training. Field names are those of the published `config.json` and flags.

use std::path::PathBuf;

use burn::tensor::Device;
use nocturne_models::network::{ConfigError, NetworkConfig};
use nocturne_vocoder::adversaries::{AdversariesConfig, MelLoss, StftDistance};
use nocturne_vocoder::bigvgan::BigVganConfig;
use nocturne_vocoder::mel::LogMelConfig;
use serde::{Deserialize, Serialize};

use crate::train::learning_rate::Schedule;
use crate::train::precision::Precision;
use crate::train::{TrainError, TrainSettings};

/// Everything that the training of a vocoder depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VocoderConfig {
    /// The generator.
    pub model: BigVganConfig,
    /// The discriminators.
    pub adversaries: AdversariesConfig,
    /// What it is trained for.
    pub vocoder: VocoderSettings,
    /// The optimisation.
    pub train: TrainSettings,
    /// The recordings: a folder, or a mel dataset that names them.
    pub recordings: PathBuf,
}

/// The fields of a BigVGAN `config.json` that describe its training, with the defaults of the second version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VocoderSettings {
    /// Samples of an item: 65 536.
    pub segment_size: usize,
    /// Multiplies the learning rate after every step: 0.9999996.
    pub lr_decay: f64,
    /// The second version's mel loss, over seven scales, in place of the first's: true.
    pub use_multiscale_melloss: bool,
    /// Weight of the mel loss: 15; 45 in the first version.
    pub lambda_melloss: f64,
    /// The upper edge of the highest band of the first version's loss, in Hz: half the sampling rate.
    pub fmax_for_loss: Option<f64>,
    /// For so many steps the discriminators wait, and the generator learns from the mel loss alone: 0. It is a flag of the
    /// published script.
    pub freeze_step: u64,
}

impl Default for VocoderSettings {
    fn default() -> Self {
        Self {
            segment_size: 65_536,
            lr_decay: 0.999_999_6,
            use_multiscale_melloss: true,
            lambda_melloss: 15.0,
            fmax_for_loss: None,
            freeze_step: 0,
        }
    }
}

/// The optimisation of the published script; weight decay is the default of `torch.optim.AdamW`.
pub fn train_settings() -> TrainSettings {
    TrainSettings {
        train_batch_size: 4,
        learning_rate: 1e-4,
        lr_scheduler: Schedule::Constant,
        lr_warmup_steps: 0,
        adam_beta1: 0.8,
        adam_beta2: 0.99,
        adam_weight_decay: 0.01,
        max_grad_norm: Some(500.0),
        use_ema: false,
        ..TrainSettings::default()
    }
}

impl VocoderConfig {
    /// Refuses values that cannot work.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.train.validate()?;
        self.model.validate()?;
        self.adversaries.validate()?;
        let refuse = |field, found: String, expected: String| Err(TrainError::Config { field, found, expected });
        let VocoderSettings { segment_size, lr_decay, lambda_melloss, .. } = self.vocoder;
        let LogMelConfig { n_fft, hop_size, .. } = self.model.mel;
        let least = self.mel_loss(&Device::flex())?.least_samples();
        let least = least.max(self.adversaries.least_samples()).max((n_fft - hop_size) / 2 + 1);
        let least = least.max(StftDistance::LEAST_SAMPLES);
        if segment_size < least || !segment_size.is_multiple_of(hop_size) || segment_size > 1 << 24 {
            let expected = format!("a multiple of hop_size, {hop_size}, from {least} to {}", 1 << 24);
            return refuse("vocoder.segment_size", segment_size.to_string(), expected);
        }
        if !(lr_decay > 0.0 && lr_decay <= 1.0) {
            return refuse("vocoder.lr_decay", lr_decay.to_string(), "above 0 and at most 1".to_owned());
        }
        if !(lambda_melloss.is_finite() && lambda_melloss >= 0.0) {
            return refuse("vocoder.lambda_melloss", lambda_melloss.to_string(), "a number of 0 or more".to_owned());
        }
        let settings = &self.train;
        if settings.gradient_accumulation_steps != 1 {
            let found = settings.gradient_accumulation_steps.to_string();
            return refuse(
                "train.gradient_accumulation_steps",
                found,
                "1: either side learns from the other's last step".to_owned(),
            );
        }
        if settings.use_ema {
            return refuse("train.use_ema", "true".to_owned(), "false: a vocoder has no average".to_owned());
        }
        if settings.mixed_precision != Precision::F32 {
            return refuse("train.mixed_precision", "another".to_owned(), "no".to_owned());
        }
        if settings.lr_scheduler != Schedule::Constant {
            return refuse(
                "train.lr_scheduler",
                "another".to_owned(),
                "constant: `vocoder.lr_decay` moves it".to_owned(),
            );
        }
        Ok(())
    }

    /// The loss of mels.
    pub fn mel_loss(&self, device: &Device) -> Result<MelLoss, ConfigError> {
        let mel = LogMelConfig { fmax: self.vocoder.fmax_for_loss, ..self.model.mel };
        if self.vocoder.use_multiscale_melloss {
            return Ok(MelLoss::multi_scale(mel.sampling_rate, device));
        }
        let highest = f64::from(mel.sampling_rate) / 2.0;
        match mel.fmax.filter(|fmax| !(*fmax > mel.fmin && *fmax <= highest)) {
            Some(fmax) => Err(ConfigError {
                field: "fmax_for_loss",
                found: fmax.to_string(),
                expected: format!("above fmin, {}, and at most {highest}", mel.fmin),
            }),
            None => Ok(MelLoss::single_scale(&mel, device)),
        }
    }
}
