//! The encoder of recordings that conditional audio-diffusion models were trained with (`teticio/audio-encoder`): mel
//! pictures to 100 numbers, key for key. For inference: dropout is left out, batch normalisation has its running statistics.

mod block;
mod config;
mod model;

pub use block::{ConvBlock, DenseBlock, SeparableConv2d};
pub use config::AudioEncoderConfig;
pub use model::AudioEncoder;
