//! MusicGen: captions, and in its melody models tunes, to codes to music. `MusicgenForConditionalGeneration` and
//! `MusicgenMelodyForConditionalGeneration` of transformers, key for key, and audiocraft's generation with them. audiocraft's own
//! files are read as well.
//!
//! Copet et al., "Simple and Controllable Music Generation" (2023). Every field is named as its key in a checkpoint.

mod attention;
mod audiocraft;
mod checkpoint;
mod chroma_stem;
mod conditional;
mod config;
mod decoding;
mod delay;
mod filling;
mod generate;
mod layer;
mod memory;
mod model;
mod positions;
mod prefix;
mod projection;
mod sampling;

pub use attention::Attention;
pub use checkpoint::Audiocraft;
pub use conditional::{MelodySize, Musicgen, MusicgenConfig, Padding};
pub use config::MusicgenDecoderConfig;
pub use decoding::Decoding;
pub use delay::DelayPattern;
pub use generate::{Condition, Conditioning, Generation, GenerationError, Streams, generate};
pub use layer::DecoderLayer;
pub use memory::Memory;
pub use model::{MusicgenDecoder, MusicgenForCausalLm, MusicgenModel};
pub use prefix::{NO_MELODY, Prefix, as_long_as};
pub use projection::Projection;
pub use sampling::{Sampling, guided};
