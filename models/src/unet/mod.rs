//! The convolutional U-Net of denoising diffusion: `UNet2DModel` of diffusers, key for key.
//!
//! Ho et al., "Denoising Diffusion Probabilistic Models" (2020), after Ronneberger et al., "U-Net" (2015). Every field
//! is named as its key in a checkpoint.

mod blocks;
mod config;
mod model;

pub use blocks::{DownBlock, MidBlock, UpBlock};
pub use config::{SampleSize, UNet2DConfig};
pub use model::UNet2D;
