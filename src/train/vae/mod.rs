//! The training of an autoencoder for latent diffusion: pictures are reconstructed under a sum of absolute differences, a
//! perceptual distance, the divergence of the latents from a normal distribution, and, from some step on, a discriminator
//! that learns beside (Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", 2022, appendix G).
//!
//! [`run::train`] runs the loop over a [`learner::VaeLearner`].

pub mod batch;
pub mod config;
pub mod learner;
pub mod loss;
pub mod meter;
pub mod run;
pub mod scale;

pub use crate::train::samples::Shown;
pub use config::{LossSettings, VaeConfig, train_settings};
pub use run::{Callbacks, Outcome, Training, train};
