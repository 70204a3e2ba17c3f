//! Training: a mel dataset and a network in, a model folder out.
//!
//! [`run::Run`] is the loop, whatever is trained; each of its parts is a file of its own. Data flow of [`diffusion`]: [`batches`] → [`learner`]
//! ([`gradients`] → [`optimizer`] → [`ema`]) → [`meter`] → [`log`], with [`validation`], [`samples`] and [`state`]
//! every so many steps. A run depends on its configuration, its data and its seed alone: on the CPU it is reproducible
//! bit for bit, interrupted or not.

pub mod batches;
pub mod conditions;
pub mod config;
pub mod course;
pub mod diffusion;
pub mod ema;
pub mod error;
pub mod evaluation;
pub mod gradients;
pub mod learner;
pub mod learning_rate;
pub mod log;
pub mod meter;
pub mod optimised;
pub mod optimizer;
pub mod precision;
pub mod run;
pub mod samples;
pub mod split;
pub mod state;
pub mod timing;
pub mod vae;
pub mod validation;
pub mod vocoder;

pub use config::{DataSettings, TrainConfig, TrainSettings};
pub use error::TrainError;
