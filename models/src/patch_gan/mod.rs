//! The discriminator that judges a picture patch by patch, and what it and its opponent learn from: `NLayerDiscriminator`
//! of taming-transformers, key for key, with the hinge loss.
//!
//! Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (2017); Esser et al., "Taming
//! Transformers for High-Resolution Image Synthesis" (2021), for the loss and the weight of it.

mod batch_norm;
mod config;
mod loss;
mod model;

pub use batch_norm::BatchNorm;
pub use config::PatchGanConfig;
pub use loss::{adaptive_weight, discriminator_loss, generator_loss};
pub use model::{Layer, PatchGan};
