//! The configuration of a training run. Field names are those of the published scripts' flags.

use std::path::PathBuf;

use nocturne_models::backbone::BackboneConfig;
use nocturne_models::diffusion::{LossWeighting, SchedulerConfig, TimestepDistribution, TimestepSampling};
use nocturne_models::unet::UNet2DConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ema::EmaDecay;
use super::error::TrainError;
use super::evaluation::EvaluationSettings;
use super::learning_rate::{LearningRate, Schedule};
use super::optimizer::AdamWConfig;
use super::precision::Precision;

/// Everything that a training run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// The network: its `config.json`. The default is the published unconditional U-Net, of 113.7 million parameters.
    pub model: BackboneConfig,
    /// The noise schedule: diffusers' `scheduler_config.json`.
    pub scheduler: SchedulerConfig,
    /// The optimisation.
    pub train: TrainSettings,
    /// The data.
    pub data: DataSettings,
    /// What samples are measured by.
    pub evaluation: EvaluationSettings,
}

impl Default for TrainConfig {
    fn default() -> Self {
        let blocks = |kind: &str, attending: usize| {
            let name = |level| if level == attending { format!("Attn{kind}") } else { kind.to_string() };
            (0..6).map(name).collect()
        };
        let model = UNet2DConfig {
            in_channels: 1,
            out_channels: 1,
            block_out_channels: vec![128, 128, 256, 256, 512, 512],
            down_block_types: blocks("DownBlock2D", 4),
            up_block_types: blocks("UpBlock2D", 1),
            ..UNet2DConfig::default()
        };
        Self {
            model: model.into(),
            scheduler: SchedulerConfig::default(),
            train: TrainSettings::default(),
            data: DataSettings::default(),
            evaluation: EvaluationSettings::default(),
        }
    }
}

/// What to train on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataSettings {
    /// The folder of the mel dataset.
    pub dataset: Option<PathBuf>,
    /// The VAE whose latents are learned.
    pub vae: Option<PathBuf>,
    /// The encodings that the network is conditioned on.
    pub encodings: Option<PathBuf>,
    /// Which latents are learned: the key of the VAE that made them.
    pub latents: Option<String>,
    /// The width of the encodings.
    pub encoding_width: Option<usize>,
}

/// The shape of the timesteps' distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepShape {
    /// Every timestep as often.
    #[default]
    Uniform,
    /// The sigmoid of a normal distribution, as Stable Diffusion 3 (arXiv 2403.03206, §3.1).
    LogitNormal,
}

/// The optimisation, checkpoints and logs. The defaults are the published ones, where there are any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// Names every random stream of the run: 0.
    pub seed: u64,
    /// Items a forward pass: 16.
    pub train_batch_size: usize,
    /// Forward passes an optimiser step; their gradients are averaged: 1.
    pub gradient_accumulation_steps: usize,
    /// Passes over the training examples, where `max_training_num_steps` is not given: 100.
    pub num_epochs: u64,
    /// Optimiser steps of the whole run: none. The learning rate ends with the run.
    pub max_training_num_steps: Option<u64>,
    /// The highest learning rate: 1e-4.
    pub learning_rate: f64,
    /// How the learning rate moves: `cosine`.
    pub lr_scheduler: Schedule,
    /// Optimiser steps of linear warm-up: 500.
    pub lr_warmup_steps: u64,
    /// `AdamW`'s β₁: 0.95.
    pub adam_beta1: f64,
    /// `AdamW`'s β₂: 0.999.
    pub adam_beta2: f64,
    /// `AdamW`'s decoupled weight decay: 1e-6.
    pub adam_weight_decay: f64,
    /// `AdamW`'s ε: 1e-8.
    pub adam_epsilon: f64,
    /// Gradients are scaled down to this global norm: 1. `null` only measures it.
    pub max_grad_norm: Option<f64>,
    /// Keep an exponential moving average of the weights and publish that: true.
    pub use_ema: bool,
    /// γ of the average's warm-up: 1.
    pub ema_inv_gamma: f64,
    /// p of the average's warm-up: 3/4.
    pub ema_power: f64,
    /// The average's highest decay: 0.9999.
    pub ema_max_decay: f64,
    /// γ of min-SNR loss weighting (arXiv 2303.09556): none, every timestep counts the same. The validation loss is never
    /// weighted.
    pub snr_gamma: Option<f64>,
    /// How timesteps are drawn: `uniform`.
    pub timestep_sampling: TimestepShape,
    /// `logit_normal`: the mean before the sigmoid, above 0 towards noise: 0.
    pub logit_mean: f64,
    /// `logit_normal`: the standard deviation before the sigmoid: 1.
    pub logit_std: f64,
    /// `no`, or `bf16` on CUDA: `no`.
    pub mixed_precision: Precision,
    /// Make the activations of each block again in backward, instead of keeping them: false. Trains the same, with less
    /// memory, for another forward pass a step.
    pub gradient_checkpointing: bool,
    /// Share of the items that are trained without their condition, for classifier-free guidance (Ho and Salimans, arXiv
    /// 2207.12598): 0.1.
    pub condition_dropout: f64,
    /// Share of the recordings held out for validation: 0.05.
    pub validation_fraction: f64,
    /// Log every so many optimiser steps: 10. Between two entries nothing waits for the device.
    pub log_steps: u64,
    /// Validate every so many optimiser steps, and with every checkpoint: 1000. 0 is with checkpoints only.
    pub validate_steps: u64,
    /// Sample every so many optimiser steps: 1000. 0 is at the end only.
    pub save_images_steps: u64,
    /// Save a checkpoint and publish every so many optimiser steps: 1000. 0 is at the end only.
    pub save_model_steps: u64,
    /// Checkpoints kept, beside the best: 2.
    pub keep_last: usize,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            seed: 0,
            train_batch_size: 16,
            gradient_accumulation_steps: 1,
            num_epochs: 100,
            max_training_num_steps: None,
            learning_rate: 1e-4,
            lr_scheduler: Schedule::Cosine,
            lr_warmup_steps: 500,
            adam_beta1: 0.95,
            adam_beta2: 0.999,
            adam_weight_decay: 1e-6,
            adam_epsilon: 1e-8,
            max_grad_norm: Some(1.0),
            use_ema: true,
            ema_inv_gamma: 1.0,
            ema_power: 0.75,
            ema_max_decay: 0.9999,
            snr_gamma: None,
            timestep_sampling: TimestepShape::Uniform,
            logit_mean: 0.0,
            logit_std: 1.0,
            mixed_precision: Precision::F32,
            gradient_checkpointing: false,
            condition_dropout: 0.1,
            validation_fraction: 0.05,
            log_steps: 10,
            validate_steps: 1000,
            save_images_steps: 1000,
            save_model_steps: 1000,
            keep_last: 2,
        }
    }
}

impl TrainSettings {
    /// Refuses values that cannot work.
    pub fn validate(&self) -> Result<(), TrainError> {
        let check = |works: bool, field, found: String, expected: &str| {
            if works { Ok(()) } else { Err(TrainError::Config { field, found, expected: expected.into() }) }
        };
        let one_or_more = [
            ("train.train_batch_size", self.train_batch_size as u64),
            ("train.gradient_accumulation_steps", self.gradient_accumulation_steps as u64),
            ("train.num_epochs", self.num_epochs),
            ("train.max_training_num_steps", self.max_training_num_steps.unwrap_or(1)),
            ("train.log_steps", self.log_steps),
            ("train.keep_last", self.keep_last as u64),
        ];
        for (field, value) in one_or_more {
            check(value > 0, field, value.to_string(), "1 or more")?;
        }
        let non_negative = [
            ("train.learning_rate", self.learning_rate),
            ("train.adam_weight_decay", self.adam_weight_decay),
            ("train.ema_power", self.ema_power),
        ];
        for (field, value) in non_negative {
            check(value.is_finite() && value >= 0.0, field, value.to_string(), "a number of 0 or more")?;
        }
        let positive = [
            ("train.adam_epsilon", self.adam_epsilon),
            ("train.max_grad_norm", self.max_grad_norm.unwrap_or(1.0)),
            ("train.ema_inv_gamma", self.ema_inv_gamma),
            ("train.snr_gamma", self.snr_gamma.unwrap_or(1.0)),
            ("train.logit_std", self.logit_std),
        ];
        for (field, value) in positive {
            check(value.is_finite() && value > 0.0, field, value.to_string(), "a number above 0")?;
        }
        let shares = [
            ("train.adam_beta1", self.adam_beta1),
            ("train.adam_beta2", self.adam_beta2),
            ("train.ema_max_decay", self.ema_max_decay),
            ("train.condition_dropout", self.condition_dropout),
            ("train.validation_fraction", self.validation_fraction),
        ];
        for (field, value) in shares {
            check((0.0..1.0).contains(&value), field, value.to_string(), "0 or more and below 1")?;
        }
        Ok(())
    }

    /// What the timesteps of a schedule are drawn from.
    pub fn timesteps(&self, scheduler: &SchedulerConfig) -> Result<TimestepDistribution, TrainError> {
        let sampling = match self.timestep_sampling {
            TimestepShape::Uniform => TimestepSampling::Uniform,
            TimestepShape::LogitNormal => TimestepSampling::LogitNormal { mean: self.logit_mean, std: self.logit_std },
        };
        Ok(TimestepDistribution::new(sampling, scheduler)?)
    }

    /// Optimiser steps of the whole run over `examples` training examples.
    pub fn total_steps(&self, examples: usize) -> u64 {
        let per_epoch = (examples as u64).div_ceil(self.items_per_step()).max(1);
        self.max_training_num_steps.unwrap_or_else(|| self.num_epochs.saturating_mul(per_epoch))
    }

    /// Items an optimiser step.
    pub fn items_per_step(&self) -> u64 {
        self.train_batch_size as u64 * self.gradient_accumulation_steps as u64
    }

    pub(super) fn loss_weighting(&self) -> LossWeighting {
        self.snr_gamma.map_or(LossWeighting::Uniform, |gamma| LossWeighting::MinSnr { gamma })
    }

    pub(super) fn adamw(&self) -> AdamWConfig {
        AdamWConfig {
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            epsilon: self.adam_epsilon,
            weight_decay: self.adam_weight_decay,
        }
    }

    pub(super) fn ema_decay(&self) -> EmaDecay {
        EmaDecay { inv_gamma: self.ema_inv_gamma, power: self.ema_power, max_decay: self.ema_max_decay }
    }

    pub(super) fn schedule(&self, total_steps: u64) -> LearningRate {
        LearningRate {
            schedule: self.lr_scheduler,
            peak: self.learning_rate,
            warmup_steps: self.lr_warmup_steps,
            total_steps,
        }
    }
}

/// A field that two configurations do not share.
#[derive(Debug, PartialEq)]
pub struct Difference {
    /// Its path.
    pub field: String,
    /// Its value in the first, `null` where it is absent.
    pub first: Value,
    /// Its value in the second.
    pub second: Value,
}

/// Every leaf in which two configurations differ.
pub fn differences(first: &Value, second: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", first, second, &mut found);
    found
}

fn compare(path: &str, first: &Value, second: &Value, found: &mut Vec<Difference>) {
    match (first, second) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
            }
        }
        _ if first == second => {}
        _ => found.push(Difference { field: path.into(), first: first.clone(), second: second.clone() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nocturne_models::network::NetworkConfig;

    #[test]
    fn the_default_network_is_the_published_one() {
        assert_eq!(TrainConfig::default().model.parameter_count().unwrap(), 113_668_609);
    }

    #[test]
    fn unknown_fields_are_refused_and_defaults_fill_the_rest() {
        let config: TrainConfig = serde_json::from_str(r#"{"train": {"learning_rate": 3e-4}}"#).unwrap();
        assert_eq!(config.train, TrainSettings { learning_rate: 3e-4, ..TrainSettings::default() });
        let error = serde_json::from_str::<TrainConfig>(r#"{"train": {"learnig_rate": 3e-4}}"#).unwrap_err();
        assert!(error.to_string().contains("learnig_rate"), "{error}");
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        TrainSettings::default().validate().unwrap();
        let wrong = [
            TrainSettings { train_batch_size: 0, ..TrainSettings::default() },
            TrainSettings { learning_rate: f64::NAN, ..TrainSettings::default() },
            TrainSettings { adam_beta2: 1.0, ..TrainSettings::default() },
            TrainSettings { max_grad_norm: Some(0.0), ..TrainSettings::default() },
            TrainSettings { validation_fraction: -0.1, ..TrainSettings::default() },
        ];
        let fields = ["train_batch_size", "learning_rate", "adam_beta2", "max_grad_norm", "validation_fraction"];
        for (settings, field) in wrong.iter().zip(fields) {
            let message = settings.validate().unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        }
    }

    #[test]
    fn epochs_count_full_and_started_steps() {
        let settings = TrainSettings { train_batch_size: 4, num_epochs: 3, ..TrainSettings::default() };
        assert_eq!(settings.total_steps(9), 9);
        assert_eq!(TrainSettings { gradient_accumulation_steps: 2, ..settings.clone() }.total_steps(9), 6);
        assert_eq!(TrainSettings { max_training_num_steps: Some(5), ..settings }.total_steps(9), 5);
    }

    #[test]
    fn differences_are_leaves() {
        let parse = |text| serde_json::from_str::<Value>(text).unwrap();
        let found = differences(&parse(r#"{"a": {"b": 1, "c": 2}}"#), &parse(r#"{"a": {"b": 1, "c": 3, "d": 4}}"#));
        let fields: Vec<&str> = found.iter().map(|difference| &*difference.field).collect();
        assert_eq!(fields, ["a.c", "a.d"]);
    }
}
