//! New mels from a network, in batches that do not change the result.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array4, s};
use nocturne_models::diffusion::{
    AlgorithmType, Denoiser, DiffusionError, NoiseSchedule, Sampler, SamplerKind, SchedulerConfig, sample,
};
use nocturne_models::random::Random;
use nocturne_models::unet::UNet2D;
use serde::{Deserialize, Serialize};
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// How to sample: the section `sampling` of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingSettings {
    /// How many mels.
    pub num_images: usize,
    /// Steps from noise to mel.
    pub num_inference_steps: usize,
    /// Which equations.
    pub scheduler: Scheduler,
    /// DDIM's noise: 0 is deterministic, 1 as much as DDPM.
    pub eta: f64,
    /// Classifier-free guidance of a conditional model: 1 is none.
    pub guidance_scale: f64,
    /// How much of the guided contrast is brought back to the unguided (arXiv 2305.08891, §3.4): 0 to 1.
    pub guidance_rescale: f64,
    /// The timesteps that are guided, as shares of the schedule from 0 (no noise) to 1 (arXiv 2404.07724).
    pub guidance_interval: [f64; 2],
    /// One seed, one result.
    pub seed: u64,
    /// Mels a forward pass on a GPU; on the CPU a mel is always computed alone.
    pub eval_batch_size: usize,
    /// Griffin-Lim iterations; the model's own number if absent.
    pub n_iter: Option<usize>,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        Self {
            num_images: 10,
            num_inference_steps: 50,
            scheduler: Scheduler::Ddim,
            eta: 0.0,
            guidance_scale: 1.0,
            guidance_rescale: 0.0,
            guidance_interval: [0.0, 1.0],
            seed: 42,
            eval_batch_size: 16,
            n_iter: None,
        }
    }
}

/// A sampler by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scheduler {
    /// Ancestral sampling (Ho et al. 2020).
    Ddpm,
    /// Implicit sampling (Song et al. 2021).
    Ddim,
    /// Euler's method (Karras et al. 2022).
    Euler,
    /// Heun's method: two predictions a step (Karras et al. 2022).
    Heun,
    /// DPM-Solver++ of second order (Lu et al. 2022).
    #[serde(rename = "dpm++", alias = "dpm-solver++")]
    #[value(name = "dpm++", alias = "dpm-solver++")]
    DpmSolver,
    /// The same with noise.
    #[serde(rename = "dpm++sde", alias = "dpm-solver++sde")]
    #[value(name = "dpm++sde", alias = "dpm-solver++sde")]
    DpmSolverSde,
    /// A unified predictor-corrector of second order (Zhao et al. 2023).
    #[serde(rename = "unipc")]
    #[value(name = "unipc")]
    UniPc,
    /// Euler's method along a rectified flow (Esser et al. 2024).
    FlowEuler,
}

impl SamplingSettings {
    /// The sampler's equations.
    pub fn kind(&self) -> SamplerKind {
        match self.scheduler {
            Scheduler::Ddpm => SamplerKind::Ddpm,
            Scheduler::Ddim => SamplerKind::Ddim { eta: self.eta },
            Scheduler::Euler => SamplerKind::Euler,
            Scheduler::Heun => SamplerKind::Heun,
            Scheduler::DpmSolver => SamplerKind::DpmSolver { algorithm: AlgorithmType::Ode },
            Scheduler::DpmSolverSde => SamplerKind::DpmSolver { algorithm: AlgorithmType::Sde },
            Scheduler::UniPc => SamplerKind::UniPc,
            Scheduler::FlowEuler => SamplerKind::FlowEuler,
        }
    }
}

/// Why no mel could be sampled.
#[derive(Debug, Error)]
pub enum SampleError {
    /// The sampler's settings cannot be used.
    #[error(transparent)]
    Sampler(#[from] DiffusionError),
    /// The network gave something that is no number.
    #[error("mel {index} is not finite: the network's weights, or the sampler's settings, do not work together")]
    NotFinite {
        /// Which one.
        index: usize,
    },
    /// The job was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// The device's result cannot be read.
    #[error("cannot read the result from the device: {0}")]
    Device(String),
}

/// The N(0, 1) that the mels of a seed start from; each is drawn from a stream of its own.
///
/// # Shapes
/// - `shape`: `[channel, mel, frame]`
/// - output: `[item, channel, mel, frame]`
pub fn drawn_noise(seed: u64, items: Range<usize>, [channels, bands, frames]: [usize; 3]) -> Array4<f32> {
    let mut noise = Array4::zeros((items.len(), channels, bands, frames));
    for (mut slot, index) in noise.outer_iter_mut().zip(items) {
        let values = Random::new(seed, "noise", index as u64).normal(slot.len());
        slot.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
    }
    noise
}

/// Samples one mel for each `noise`, the first of them mel number `first`.
///
/// The noise of every step comes from a stream of the mel's own, and on the CPU each mel goes through the network alone,
/// because matrix kernels choose their order of summation by the batch: so a seed gives the same bytes in any batch.
/// `on_step` is called after every step of every forward pass.
///
/// # Shapes
/// - `noise`, output: `[batch, channel, mel, frame]`
pub fn sample_mels(
    network: &UNet2D,
    scheduler: &SchedulerConfig,
    settings: &SamplingSettings,
    (first, noise): (usize, &Array4<f32>),
    device: &Device,
    stop: &AtomicBool,
    mut on_step: impl FnMut(),
) -> Result<Array4<f32>, SampleError> {
    let schedule = NoiseSchedule::new(scheduler)?;
    let denoiser = Denoiser::new(network, &schedule, scheduler.prediction_type);
    let sampler = Sampler::new(settings.kind(), scheduler, &schedule, settings.num_inference_steps)?;
    let at_once = if *device == Device::flex() { 1 } else { settings.eval_batch_size.max(1) };
    let mut mels = Array4::zeros(noise.raw_dim());
    for start in (0..noise.dim().0).step_by(at_once) {
        let part = noise.slice(s![start..noise.dim().0.min(start + at_once), .., .., ..]);
        let (batch, channels, bands, frames) = part.dim();
        let shape = [batch, channels, bands, frames];
        let upload = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, shape), device);
        let mut streams: Vec<Random> =
            (0..batch).map(|item| Random::new(settings.seed, "step noise", (first + start + item) as u64)).collect();
        let step_noise =
            |_| upload(streams.iter_mut().flat_map(|stream| stream.normal(channels * bands * frames)).collect());
        let noise = upload(part.iter().copied().collect());
        let sampled = sample(&sampler, &denoiser, noise, step_noise, |_, _| {
            on_step();
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let sampled = sampled.ok_or(SampleError::Interrupted)?;
        let values =
            sampled.into_data().try_to_vec::<f32>().map_err(|error| SampleError::Device(format!("{error:?}")))?;
        if let Some(broken) = values.iter().position(|value| !value.is_finite()) {
            return Err(SampleError::NotFinite { index: first + start + broken / (channels * bands * frames) });
        }
        for (slot, value) in mels.slice_mut(s![start..start + batch, .., .., ..]).iter_mut().zip(values) {
            *slot = value;
        }
    }
    Ok(mels)
}
