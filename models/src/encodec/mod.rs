//! `EnCodec`, which carries waveforms to a few codes a second and back: 24 kHz, 48 kHz stereo, and `MusicGen`'s 32 kHz. Folders of
//! transformers' `EncodecModel` are read, and the files of Meta's `encodec` and `audiocraft`; fields are named as in the first.
//!
//! Défossez et al., "High Fidelity Neural Audio Compression" (2022); the quantiser is that of Zeghidour et al., "`SoundStream`"
//! (2021). For inference: weight norm is folded when weights are read.

mod audiocraft;
mod checkpoint;
mod config;
mod conv;
mod decoder;
mod encoder;
mod layer;
mod lstm;
mod model;
mod published;
mod quantizer;
mod resnet;
mod segments;
mod streaming;
mod window;

pub use checkpoint::{open, points_to};
pub use config::{EncodecConfig, NormType, PadMode};
pub use conv::{Conv, ConvTranspose};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use layer::{Elu, Layer};
pub use lstm::{Lstm, LstmLayer};
pub use model::{Encodec, deinterleave, interleave};
pub use quantizer::{Codebook, Quantizer, VectorQuantization};
pub use resnet::ResnetBlock;
pub use segments::{Segment, Segments};
pub use streaming::Decoding;
