//! MusicGen: captions to codes to music. `MusicgenForConditionalGeneration` of transformers, key for key, and audiocraft's
//! generation with it. audiocraft's own files are read as well.
//!
//! Copet et al., "Simple and Controllable Music Generation" (2023). Every field is named as its key in a checkpoint.

mod attention;
mod audiocraft;
mod checkpoint;
mod conditional;
mod config;
mod decoding;
mod delay;
mod generate;
mod layer;
mod memory;
mod model;
mod positions;
mod projection;
mod sampling;

pub use attention::Attention;
pub use checkpoint::Audiocraft;
pub use conditional::{Musicgen, MusicgenConfig, Padding};
pub use config::MusicgenDecoderConfig;
pub use decoding::Decoding;
pub use delay::DelayPattern;
pub use generate::{Condition, Generation, GenerationError, generate};
pub use layer::DecoderLayer;
pub use memory::Memory;
pub use model::{MusicgenDecoder, MusicgenForCausalLm, MusicgenModel};
pub use projection::Projection;
pub use sampling::{Sampling, guided};
