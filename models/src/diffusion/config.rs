//! `scheduler_config.json` of diffusers' schedulers.

use serde::{Deserialize, Serialize};

use super::error::invalid;
use super::fields::Fields;
use super::{
    AlgorithmType, BetaSchedule, DiffusionError, FinalSigmas, PredictionType, SchedulerClass, TimestepSpacing,
    VarianceType,
};

/// More training timesteps than anybody uses; a bound on what a file may make us allocate.
const MAX_TRAIN_TIMESTEPS: usize = 1_000_000;

/// A noise schedule and the settings of its samplers, with diffusers' names and defaults.
///
/// One structure holds the fields of every class, so that a schedule can be sampled by another class than its own, as
/// diffusers' `from_config` does it. What a file does not say has the default of the file's class; fields of other
/// diffusers versions and classes are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
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
    /// What the network's output means. `FlowMatchEulerDiscreteScheduler` knows `flow_prediction` alone.
    pub prediction_type: PredictionType,
    /// DDPM: the variance of the noise added at each step.
    pub variance_type: VarianceType,
    /// DDPM, DDIM, Heun: clamp each predicted sample to ±`clip_sample_range`.
    pub clip_sample: bool,
    /// See `clip_sample`.
    pub clip_sample_range: f64,
    /// Dynamic thresholding (Imagen, arXiv 2205.11487, §2.3) instead of `clip_sample`; not with Euler and Heun.
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
    /// Euler, Heun, DPM-Solver++, `UniPC`: space the noise levels as Karras et al. do (arXiv 2206.00364, equation 5).
    pub use_karras_sigmas: bool,
    /// Euler, DPM-Solver++, `UniPC`: the noise after the last step.
    pub final_sigmas_type: FinalSigmas,
    /// DPM-Solver++: what its own class integrates.
    pub algorithm_type: AlgorithmType,
    /// DPM-Solver++, `UniPC`: 1 or 2.
    pub solver_order: usize,
    /// DPM-Solver++ below 15 steps, `UniPC`: lower the order for the last steps.
    pub lower_order_final: bool,
    /// DPM-Solver++: take the last step by Euler's method.
    pub euler_at_final: bool,
    /// DPM-Solver++: leave out the timesteps whose λ, half the logarithm of the signal-to-noise ratio, is below this.
    pub lambda_min_clipped: Option<f64>,
    /// Rectified flow: how far sampling and training move towards noise, σ → shift·σ / (1 + (shift−1)·σ). `flow_shift` in
    /// the files of DPM-Solver++ and `UniPC`.
    pub shift: f64,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self::of(SchedulerClass::default())
    }
}

impl SchedulerConfig {
    /// The defaults of a class.
    pub fn of(class: SchedulerClass) -> Self {
        use SchedulerClass::{Ddim, Ddpm, FlowEuler, Heun};
        let (beta_start, beta_end) = if class == Heun { (0.00085, 0.012) } else { (1e-4, 0.02) };
        let ancestral = matches!(class, Ddpm | Ddim);
        Self {
            class,
            num_train_timesteps: 1000,
            beta_start,
            beta_end,
            beta_schedule: BetaSchedule::default(),
            trained_betas: None,
            prediction_type: if class == FlowEuler { PredictionType::Flow } else { PredictionType::default() },
            variance_type: VarianceType::default(),
            // Classes without clipping say nothing of it, and then DDPM and DDIM fall back on their own default.
            clip_sample: class != Heun,
            clip_sample_range: 1.0,
            thresholding: false,
            dynamic_thresholding_ratio: 0.995,
            sample_max_value: 1.0,
            timestep_spacing: if ancestral { TimestepSpacing::Leading } else { TimestepSpacing::Linspace },
            steps_offset: 0,
            set_alpha_to_one: true,
            rescale_betas_zero_snr: false,
            use_karras_sigmas: false,
            final_sigmas_type: FinalSigmas::default(),
            algorithm_type: AlgorithmType::default(),
            solver_order: 2,
            lower_order_final: true,
            euler_at_final: false,
            lambda_min_clipped: None,
            shift: 1.0,
        }
    }

    /// Checks every field that has a range, and those that go together.
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
        if !(1..=2).contains(&self.solver_order) {
            return Err(invalid("solver_order", self.solver_order, "1 or 2"));
        }
        if let Some(lambda) = self.lambda_min_clipped.filter(|lambda| !lambda.is_finite()) {
            return Err(invalid("lambda_min_clipped", lambda, "a finite number, or none"));
        }
        if self.prediction_type == PredictionType::Flow { self.validate_flow() } else { Ok(()) }
    }

    fn validate_flow(&self) -> Result<(), DiffusionError> {
        use SchedulerClass::{DpmSolver, FlowEuler, UniPc};
        if !matches!(self.class, FlowEuler | DpmSolver | UniPc) {
            return Err(invalid(
                "prediction_type",
                format!("flow_prediction with {}", self.class.name()),
                "FlowMatchEulerDiscreteScheduler as `_class_name`",
            ));
        }
        if !(self.shift > 0.0 && self.shift.is_finite()) {
            return Err(invalid("shift", self.shift, "a positive number"));
        }
        if self.use_karras_sigmas {
            return Err(invalid("use_karras_sigmas", true, "false with flow_prediction"));
        }
        if self.final_sigmas_type != FinalSigmas::Zero {
            return Err(invalid("final_sigmas_type", "sigma_min", "zero with flow_prediction"));
        }
        Ok(())
    }
}
