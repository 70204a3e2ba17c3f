//! The sampling loop.

use std::ops::ControlFlow;

use burn::tensor::Tensor;

use super::error::invalid;
use super::timesteps::steps;
use super::{
    Clip, Denoiser, DiffusionError, Network, NoiseSchedule, PredictionType, SchedulerConfig, Step, VarianceType,
};
use super::{ddim, ddpm};

/// Which equations a [`Sampler`] follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SamplerKind {
    /// Ancestral sampling.
    Ddpm,
    /// Implicit sampling, with noise of `eta` times DDPM's: 0 is deterministic.
    Ddim {
        /// η.
        eta: f64,
    },
}

/// The steps from noise to sample, and how each is taken.
#[derive(Clone, Debug)]
pub struct Sampler {
    kind: SamplerKind,
    variance: VarianceType,
    clip: Clip,
    steps: Vec<Step>,
}

impl Sampler {
    /// A sampler of `num_inference_steps` steps. Everything that could fail, or give NaN, later is refused here.
    pub fn new(
        kind: SamplerKind,
        config: &SchedulerConfig,
        schedule: &NoiseSchedule,
        num_inference_steps: usize,
    ) -> Result<Self, DiffusionError> {
        config.validate()?;
        let steps = steps(config, schedule, kind, num_inference_steps)?;
        if let SamplerKind::Ddim { eta } = kind {
            ddim::check_eta(&steps, eta)?;
        }
        if config.prediction_type == PredictionType::Epsilon && steps.iter().any(|step| step.alpha_bar == 0.0) {
            return Err(invalid(
                "prediction_type",
                "epsilon at a timestep without signal, where noise says nothing of the sample",
                "v_prediction or sample with this schedule and `timestep_spacing`",
            ));
        }
        Ok(Self { kind, variance: config.variance_type, clip: Clip::new(config), steps })
    }

    /// The steps, from noise to sample.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// One step. `noise` is asked for N(0, 1) of the state's shape when the step adds any.
    ///
    /// # Shapes
    /// - state, output: `[batch, channel, height, width]`
    pub fn step<N: Network>(
        &self,
        denoiser: &Denoiser<'_, N>,
        state: Tensor<4>,
        step: &Step,
        noise: impl FnOnce() -> Tensor<4>,
    ) -> Tensor<4> {
        let mut prediction = denoiser.predict(state.clone(), step.timestep);
        prediction.sample = self.clip.apply(prediction.sample);
        let (mean, std) = match self.kind {
            SamplerKind::Ddpm => {
                (ddpm::posterior_mean(step, prediction.sample, state), ddpm::noise_std(step, self.variance))
            }
            SamplerKind::Ddim { eta } => (ddim::mean(step, eta, prediction), ddim::noise_std(step, eta)),
        };
        if std > 0.0 { mean + noise() * std } else { mean }
    }
}

/// Samples from `noise`, N(0, 1), through every step of the sampler.
///
/// `step_noise(index)` gives the fresh N(0, 1) of step `index`, when that step adds noise. `on_step(index, state)` sees the
/// state after each step, and may end the loop there: then there is no sample. Nothing in between waits for the device.
///
/// # Shapes
/// - noise, step noise, output: `[batch, channel, height, width]`
pub fn sample<N: Network>(
    sampler: &Sampler,
    denoiser: &Denoiser<'_, N>,
    noise: Tensor<4>,
    mut step_noise: impl FnMut(usize) -> Tensor<4>,
    mut on_step: impl FnMut(usize, &Tensor<4>) -> ControlFlow<()>,
) -> Option<Tensor<4>> {
    let mut state = noise;
    for (index, step) in sampler.steps.iter().enumerate() {
        state = sampler.step(denoiser, state, step, || step_noise(index));
        if on_step(index, &state).is_break() {
            return None;
        }
    }
    Some(state)
}
