//! The convolutional U-Net of denoising diffusion: `UNet2DModel` of diffusers, key for key.
//!
//! Ho et al., "Denoising Diffusion Probabilistic Models" (2020), after Ronneberger et al., "U-Net" (2015). Every field
//! is named as its key in a checkpoint. The blocks are those of [`crate::blocks::unet`].

mod config;
mod model;
mod settings;

pub use config::{SampleSize, UNet2DConfig};
pub use model::UNet2D;
