//! The language model of MusicGen: `MusicgenForCausalLM` of transformers, key for key, and audiocraft's generation with it.
//!
//! Copet et al., "Simple and Controllable Music Generation" (2023). Every field is named as its key in a checkpoint.

mod attention;
mod config;
mod delay;
mod generate;
mod layer;
mod memory;
mod model;
mod positions;
mod sampling;

pub use attention::Attention;
pub use config::MusicgenDecoderConfig;
pub use delay::DelayPattern;
pub use generate::{Condition, Generation, GenerationError, generate};
pub use layer::DecoderLayer;
pub use memory::Memory;
pub use model::{MusicgenDecoder, MusicgenForCausalLm, MusicgenModel};
pub use sampling::{Sampling, guided};
