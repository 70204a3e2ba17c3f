//! The convolutional U-Net of denoising diffusion: `UNet2DModel` of diffusers, key for key.
//!
//! Ho et al., "Denoising Diffusion Probabilistic Models" (2020), after Ronneberger et al., "U-Net" (2015). Every field
//! is named as its key in a checkpoint.

mod attention;
mod blocks;
mod config;
mod embedding;
mod model;
mod resnet;

pub use attention::Attention;
pub use blocks::{DownBlock, Downsample, MidBlock, UpBlock, Upsample};
pub use config::{SampleSize, UNet2DConfig};
pub use embedding::TimestepEmbedding;
pub use model::UNet2D;
pub use resnet::ResnetBlock;
