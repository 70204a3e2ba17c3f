//! The sampling loop.

use std::ops::ControlFlow;

use burn::tensor::Tensor;

use super::error::invalid;
use super::plan::steps;
use super::solver::Solver;
use super::{
    AlgorithmType, Clip, Denoiser, DiffusionError, Network, NoiseLevel, NoiseSchedule, SchedulerConfig, Step,
    TimestepSpacing, VarianceType, ddim,
};

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
    /// Euler's method in σ.
    Euler,
    /// Heun's method in σ: two predictions a step, but for the last. diffusers' class ignores
    /// `rescale_betas_zero_snr`; here the schedule is the trained one.
    Heun,
    /// DPM-Solver++ of second order, multistep.
    DpmSolver {
        /// Without or with noise.
        algorithm: AlgorithmType,
    },
    /// `UniPC` of second order.
    UniPc,
    /// Euler's method along a rectified flow.
    FlowEuler,
}

impl SamplerKind {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddpm => "ddpm",
            Self::Ddim { .. } => "ddim",
            Self::Euler => "euler",
            Self::Heun => "heun",
            Self::DpmSolver { algorithm: AlgorithmType::Ode } => "dpm++",
            Self::DpmSolver { algorithm: AlgorithmType::Sde } => "dpm++sde",
            Self::UniPc => "unipc",
            Self::FlowEuler => "flow-euler",
        }
    }
}

/// The steps from noise to sample, and how each is taken.
#[derive(Clone, Debug)]
pub struct Sampler {
    pub(super) kind: SamplerKind,
    pub(super) variance: VarianceType,
    pub(super) clip: Clip,
    pub(super) steps: Vec<Step>,
    pub(super) solver_order: usize,
    pub(super) lower_order_final: bool,
    pub(super) euler_at_final: bool,
    timestep_spacing: TimestepSpacing,
}

impl Sampler {
    /// A sampler of `num_inference_steps` steps over a model's schedule, as diffusers' class of that sampler makes it from
    /// the model's configuration. Everything that could fail, or give NaN, later is refused here.
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
        let clean = steps.last().is_some_and(|step| step.next == NoiseLevel::CLEAN);
        if kind == SamplerKind::UniPc && clean && !config.lower_order_final && config.solver_order > 1 {
            return Err(invalid(
                "lower_order_final",
                false,
                "true with unipc, unless `final_sigmas_type` is sigma_min",
            ));
        }
        Ok(Self {
            kind,
            variance: config.variance_type,
            clip: Clip::new(config, kind),
            steps,
            solver_order: config.solver_order,
            lower_order_final: config.lower_order_final,
            euler_at_final: config.euler_at_final,
            timestep_spacing: config.timestep_spacing,
        })
    }

    /// The steps, from noise to sample.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The state before the first step, from N(0, 1): the noise itself, or, with Euler and Heun unless the spacing is
    /// `leading`, as much of it as the first level has (`init_noise_sigma` of diffusers).
    ///
    /// # Shapes
    /// - noise, output: `[batch, channel, height, width]`
    pub fn begin(&self, noise: Tensor<4>) -> Tensor<4> {
        let euler = matches!(self.kind, SamplerKind::Euler | SamplerKind::Heun);
        if euler && self.timestep_spacing != TimestepSpacing::Leading {
            noise * self.steps[0].level.noise_rate
        } else {
            noise
        }
    }

    /// A run through the steps.
    pub fn start(&self) -> Solver<'_> {
        Solver::new(self)
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
    let mut state = sampler.begin(noise);
    let mut solver = sampler.start();
    for index in 0..sampler.steps.len() {
        state = solver.step(denoiser, state, index, || step_noise(index));
        if on_step(index, &state).is_break() {
            return None;
        }
    }
    Some(state)
}
