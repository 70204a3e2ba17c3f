//! Diffusion: noise schedules, the denoiser, and the samplers DDPM and DDIM.
//!
//! A [`NoiseSchedule`] knows no network. A [`Denoiser`] owns the prediction type, so that training and sampling cannot
//! disagree about what the network means. A [`Sampler`] is a list of [`Step`]s and a rule for one step; [`sample`] walks
//! the list. What edits the state between the steps (in-painting, a start from a recording) is a loop of its own over
//! [`Sampler::steps`] and [`Sampler::step`].
//!
//! Numbers are those of diffusers' `DDPMScheduler` and `DDIMScheduler`, whose `scheduler_config.json` is read and
//! written by [`SchedulerConfig`]. Scalars of a schedule are rounded to 32 bits where diffusers rounds them.

mod betas;
mod clip;
mod condition;
mod config;
pub mod ddim;
pub mod ddpm;
mod denoiser;
mod error;
mod sampler;
mod schedule;
mod timesteps;

pub use clip::Clip;
pub use condition::Condition;
pub use config::{BetaSchedule, PredictionType, SchedulerClass, SchedulerConfig, TimestepSpacing, VarianceType};
pub use denoiser::{Denoiser, Network, Prediction};
pub use error::DiffusionError;
pub use sampler::{Sampler, SamplerKind, sample};
pub use schedule::NoiseSchedule;
pub use timesteps::{Step, timesteps};
