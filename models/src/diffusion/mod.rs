//! Diffusion and rectified flow: noise schedules, the denoiser, guidance, and the samplers.
//!
//! A [`NoiseSchedule`] knows no network: it gives the [`NoiseLevel`] of any timestep. A [`Denoiser`] owns the prediction
//! type, the loss and its weighting, so that training and sampling cannot disagree about what the network means. Training
//! draws its timesteps from a [`TimestepDistribution`].
//!
//! A [`Sampler`] is a list of [`Step`]s and a rule for one step; a [`Solver`] is one run through it, with the little that a
//! multistep method remembers; [`sample`] runs it from end to end. What edits the state between the steps (in-painting, a
//! start from a recording) is a loop of its own over [`Solver::step`]. Whatever the sampler, the state before a step is
//! `step.level.mix(x₀, ε)`, the state after it `step.next.mix(x₀, ε)`.
//!
//! Numbers are those of diffusers' schedulers, whose `scheduler_config.json` is read and written by [`SchedulerConfig`].
//! Scalars of a schedule are rounded to 32 bits where diffusers rounds them.

mod betas;
mod choices;
mod clip;
mod condition;
mod config;
pub mod ddim;
pub mod ddpm;
mod denoiser;
mod distribution;
mod dpm_solver;
mod error;
mod fields;
mod guidance;
mod heun;
mod level;
mod plan;
mod sampler;
mod schedule;
mod sigmas;
mod solver;
mod timesteps;
mod unipc;
mod weighting;

pub use choices::{
    AlgorithmType, BetaSchedule, FinalSigmas, PredictionType, SchedulerClass, TimestepSpacing, VarianceType,
};
pub use clip::Clip;
pub use condition::Condition;
pub use config::SchedulerConfig;
pub use denoiser::{Denoiser, Network, Prediction};
pub use distribution::{TimestepDistribution, TimestepSampling};
pub use error::DiffusionError;
pub use guidance::{Guidance, check_guidance};
pub use level::NoiseLevel;
pub use plan::Step;
pub use sampler::{Sampler, SamplerKind, sample};
pub use schedule::NoiseSchedule;
pub use solver::Solver;
pub use timesteps::timesteps;
pub use weighting::LossWeighting;
