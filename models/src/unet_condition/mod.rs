//! The U-Net that is conditioned on a sequence of encodings: `UNet2DConditionModel` of diffusers, key for key.
//!
//! Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022), and for the blocks named
//! "simple" Ramesh et al., "Hierarchical Text-Conditional Image Generation with CLIP Latents" (2022). Every field is named
//! as its key in a checkpoint.

// There are few blocks, and a module has no box.
#![allow(clippy::large_enum_variant)]

mod activation;
mod added_attention;
mod block_attention;
mod block_kind;
mod config;
mod context;
mod cross_attention;
mod down;
mod feed_forward;
mod mid;
mod model;
mod per_level;
#[cfg(test)]
mod tests;
mod transformer;
mod up;
mod validate;

pub use activation::Activation;
pub use added_attention::AddedAttention;
pub use block_attention::BlockAttention;
pub use config::UNet2DConditionConfig;
pub use context::Context;
pub use cross_attention::CrossAttention;
pub use down::{DownBlock, Downsampler};
pub use feed_forward::{FeedForward, Geglu};
pub use mid::MidBlock;
pub use model::UNet2DCondition;
pub use per_level::PerLevel;
pub use transformer::{Projection, Transformer2D, TransformerBlock};
pub use up::{UpBlock, Upsampler};
