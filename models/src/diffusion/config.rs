//! `scheduler_config.json` of diffusers' `DDPMScheduler` and `DDIMScheduler`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::DiffusionError;
use super::error::invalid;
use crate::files::write_atomic;

/// The diffusers release whose field names and defaults these are.
const DIFFUSERS_VERSION: &str = "0.24.0";

/// More training timesteps than anybody uses; a bound on what a file may make us allocate.
const MAX_TRAIN_TIMESTEPS: usize = 1_000_000;

/// A noise schedule and the settings of its samplers, with diffusers' names and defaults.
///
/// Fields of other diffusers versions and classes are ignored when reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerConfig {
    /// The sampler that the model was published with.
    #[serde(rename = "_class_name")]
    pub class: SchedulerClass,
    /// The number of noise levels. Timesteps run from 0 (almost clean) to one less than this (almost noise).
    pub num_train_timesteps: usize,
    /// β of timestep 0.
    pub beta_start: f64,
    /// β of the last timestep.
    pub beta_end: f64,
    /// The way from `beta_start` to `beta_end`.
    pub beta_schedule: BetaSchedule,
    /// Every β, instead of `beta_schedule`. Its length is the number of timesteps.
    pub trained_betas: Option<Vec<f64>>,
    /// What the network's output means.
    pub prediction_type: PredictionType,
    /// DDPM: the variance of the noise added at each step.
    pub variance_type: VarianceType,
    /// Clamp each predicted sample to ±`clip_sample_range`.
    pub clip_sample: bool,
    /// See `clip_sample`.
    pub clip_sample_range: f64,
    /// Dynamic thresholding (Imagen, arXiv 2205.11487, §2.3) instead of `clip_sample`.
    pub thresholding: bool,
    /// The quantile of |x₀| that dynamic thresholding scales to 1.
    pub dynamic_thresholding_ratio: f64,
    /// The largest such quantile.
    pub sample_max_value: f64,
    /// How sampling picks its timesteps among the trained ones.
    pub timestep_spacing: TimestepSpacing,
    /// Added to every timestep of `leading` spacing.
    pub steps_offset: usize,
    /// DDIM: ᾱ after the last step is 1; otherwise it is ᾱ of timestep 0.
    pub set_alpha_to_one: bool,
    /// Rescale β so that the last timestep is pure noise (arXiv 2305.08891, algorithm 1).
    pub rescale_betas_zero_snr: bool,
}

/// A diffusers scheduler class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerClass {
    /// Ancestral sampling (Ho et al., arXiv 2006.11239).
    #[default]
    #[serde(rename = "DDPMScheduler")]
    Ddpm,
    /// Implicit sampling (Song et al., arXiv 2010.02502).
    #[serde(rename = "DDIMScheduler")]
    Ddim,
}

/// The shape of β over the timesteps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Evenly spaced β (DDPM).
    #[default]
    Linear,
    /// Evenly spaced √β (latent diffusion).
    ScaledLinear,
    /// ᾱ falls as a squared cosine (Nichol and Dhariwal, arXiv 2102.09672); ignores `beta_start` and `beta_end`.
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredCos,
    /// β rises as a sigmoid (GeoDiff).
    Sigmoid,
}

/// What a network predicts from a noisy sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredictionType {
    /// The noise ε.
    #[default]
    #[serde(rename = "epsilon")]
    Epsilon,
    /// The clean sample x₀.
    #[serde(rename = "sample")]
    Sample,
    /// The velocity v = √ᾱ·ε − √(1−ᾱ)·x₀ (Salimans and Ho, arXiv 2202.00512).
    #[serde(rename = "v_prediction")]
    V,
}

/// The variance of the noise that a DDPM step adds. The learned variances are not supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VarianceType {
    /// The posterior variance β̃.
    #[default]
    FixedSmall,
    /// β̃ by way of its logarithm.
    FixedSmallLog,
    /// β.
    FixedLarge,
    /// β by way of its logarithm. (diffusers takes the square root of the logarithm here, which is NaN.)
    FixedLargeLog,
}

/// How a sampler spreads its timesteps (arXiv 2305.08891, table 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestepSpacing {
    /// Multiples of a whole stride from 0: never reaches the last timestep.
    #[default]
    Leading,
    /// From the last timestep down.
    Trailing,
    /// Both ends.
    Linspace,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            class: SchedulerClass::default(),
            num_train_timesteps: 1000,
            beta_start: 1e-4,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::default(),
            trained_betas: None,
            prediction_type: PredictionType::default(),
            variance_type: VarianceType::default(),
            clip_sample: true,
            clip_sample_range: 1.0,
            thresholding: false,
            dynamic_thresholding_ratio: 0.995,
            sample_max_value: 1.0,
            timestep_spacing: TimestepSpacing::default(),
            steps_offset: 0,
            set_alpha_to_one: true,
            rescale_betas_zero_snr: false,
        }
    }
}

impl SchedulerConfig {
    /// Reads and validates a `scheduler_config.json`.
    pub fn load(path: &Path) -> Result<Self, DiffusionError> {
        let text = fs::read_to_string(path).map_err(|source| DiffusionError::Io { path: path.into(), source })?;
        let mut json = serde_json::Deserializer::from_str(&text);
        let config: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| DiffusionError::Parse {
            path: path.into(),
            field: error.path().to_string(),
            reason: error.inner().to_string(),
        })?;
        config.validate()?;
        Ok(config)
    }

    /// Writes the file that diffusers' `from_pretrained` opens, atomically.
    pub fn save(&self, path: &Path) -> Result<(), DiffusionError> {
        let text = format!("{:#}\n", self.published());
        write_atomic(path, text.as_bytes()).map_err(|source| DiffusionError::Io { path: path.into(), source })
    }

    /// The fields that the published class knows; diffusers warns about every other.
    fn published(&self) -> Value {
        let mut value = json!(self);
        if let Value::Object(fields) = &mut value {
            fields.insert("_diffusers_version".into(), DIFFUSERS_VERSION.into());
            fields.remove(match self.class {
                SchedulerClass::Ddpm => "set_alpha_to_one",
                SchedulerClass::Ddim => "variance_type",
            });
            // Newer than the release that is named; its default is false.
            if !self.rescale_betas_zero_snr {
                fields.remove("rescale_betas_zero_snr");
            }
        }
        value
    }

    /// Checks every field that has a range.
    pub fn validate(&self) -> Result<(), DiffusionError> {
        let timesteps = self.num_train_timesteps;
        if !(1..=MAX_TRAIN_TIMESTEPS).contains(&timesteps) {
            return Err(invalid("num_train_timesteps", timesteps, format!("1 to {MAX_TRAIN_TIMESTEPS}")));
        }
        if let Some(betas) = &self.trained_betas {
            if betas.len() != timesteps {
                return Err(invalid(
                    "trained_betas",
                    format!("{} values", betas.len()),
                    format!("`num_train_timesteps`, {timesteps} values"),
                ));
            }
            if let Some(beta) = betas.iter().find(|beta| !(**beta > 0.0 && **beta < 1.0)) {
                return Err(invalid("trained_betas", beta, "values between 0 and 1, both excluded"));
            }
        }
        for (field, beta) in [("beta_start", self.beta_start), ("beta_end", self.beta_end)] {
            if !(beta > 0.0 && beta < 1.0) {
                return Err(invalid(field, beta, "a value between 0 and 1, both excluded"));
            }
        }
        if self.beta_start > self.beta_end {
            return Err(invalid("beta_start", self.beta_start, format!("at most `beta_end`, {}", self.beta_end)));
        }
        if self.clip_sample && !(self.clip_sample_range > 0.0 && self.clip_sample_range.is_finite()) {
            return Err(invalid("clip_sample_range", self.clip_sample_range, "a positive number"));
        }
        if self.thresholding {
            if !(0.0..=1.0).contains(&self.dynamic_thresholding_ratio) {
                return Err(invalid("dynamic_thresholding_ratio", self.dynamic_thresholding_ratio, "0 to 1"));
            }
            if !(1.0..).contains(&self.sample_max_value) {
                return Err(invalid("sample_max_value", self.sample_max_value, "at least 1"));
            }
        }
        Ok(())
    }
}
