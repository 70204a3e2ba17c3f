//! BigVGAN: a generator of waveforms from log-mels (Lee et al., "BigVGAN: A Universal Neural Vocoder with Large-Scale
//! Training", ICLR 2023), v1 and v2, key for key with the published checkpoints.

mod activation;
mod amp_block;
mod chunks;
mod config;
mod filter;
mod model;
mod vocoder;

pub use activation::{AntiAliased, Snake};
pub use amp_block::{AmpBlock, AmpBlock1, AmpBlock2};
pub use config::BigVganConfig;
pub use filter::kaiser_sinc;
pub use model::Generator;
pub use vocoder::BigVgan;
