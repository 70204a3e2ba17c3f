//! How to sample, and the noise to start from.

use crate::vocoding::VocoderKind;
use ndarray::Array4;
use nocturne_models::diffusion::{
    AlgorithmType, DiffusionError, NoiseSchedule, PredictionType, Sampler, SamplerKind, SchedulerConfig,
};
use nocturne_models::random::Random;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;

/// How to sample: the section `sampling` of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingSettings {
    /// How many mels.
    pub num_images: usize,
    /// Steps from noise to mel.
    pub num_inference_steps: usize,
    /// Which equations; if absent, DDIM, or flow-euler where the network predicts a flow.
    pub scheduler: Option<Scheduler>,
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
    /// From mels to audio.
    pub vocoder: VocoderKind,
    /// BigVGAN's folder or its name on the hub; what the model's mels name if absent.
    pub vocoder_checkpoint: Option<String>,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        Self {
            num_images: 10,
            num_inference_steps: 50,
            scheduler: None,
            eta: 0.0,
            guidance_scale: 1.0,
            guidance_rescale: 0.0,
            guidance_interval: [0.0, 1.0],
            seed: 42,
            eval_batch_size: 16,
            n_iter: None,
            vocoder: VocoderKind::default(),
            vocoder_checkpoint: None,
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
    /// The sampler for a model of this schedule; refuses what cannot sample from it.
    pub fn sampler(&self, config: &SchedulerConfig, schedule: &NoiseSchedule) -> Result<Sampler, DiffusionError> {
        let scheduler = self.scheduler.unwrap_or(match config.prediction_type {
            PredictionType::Flow => Scheduler::FlowEuler,
            _ => Scheduler::Ddim,
        });
        Sampler::new(self.kind(scheduler), config, schedule, self.num_inference_steps)
    }

    fn kind(&self, scheduler: Scheduler) -> SamplerKind {
        match scheduler {
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
