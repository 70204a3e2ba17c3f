//! The variational autoencoder of latent diffusion: `AutoencoderKL` of diffusers, key for key, and the names that the
//! latent-diffusion code gives the same network.
//!
//! Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022); the posterior is that of Kingma
//! & Welling, "Auto-Encoding Variational Bayes" (2014). Every field is named as its key in a checkpoint.

mod blocks;
mod config;
mod decoder;
mod encoder;
mod latent_diffusion;
mod model;
mod model_size;
mod posterior;
mod scale;

pub use blocks::{DownEncoderBlock, MidBlock, UpDecoderBlock};
pub use config::AutoencoderKlConfig;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use latent_diffusion::DdConfig;
pub use model::AutoencoderKl;
pub use model_size::{ModelSize, halvings};
pub use posterior::Posterior;
pub use scale::LatentSpread;
