//! The U-Net that is conditioned on a sequence of encodings: `UNet2DConditionModel` of diffusers, key for key.
//!
//! Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022), and for the blocks named
//! "simple" Ramesh et al., "Hierarchical Text-Conditional Image Generation with CLIP Latents" (2022). Every field is named
//! as its key in a checkpoint. Its blocks are those of [`crate::blocks::unet`].

mod config;
mod model;
mod per_level;
mod settings;
#[cfg(test)]
mod tests;
mod validate;

pub use config::UNet2DConditionConfig;
pub use model::UNet2DCondition;
pub use per_level::PerLevel;
