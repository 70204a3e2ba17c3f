//! MERT, which hears music as `HuBERT` hears speech: convolutions over the waveform, then a transformer, each of whose layers is
//! an encoding of its own. Folders of transformers' layout are read, those of `HubertModel` as well.
//!
//! Li et al., "MERT: Acoustic Music Understanding Model with Large-Scale Self-supervised Training" (2023); Hsu et al., "`HuBERT`"
//! (2021); Baevski et al., "wav2vec 2.0" (2020). For inference: masking and dropout are left out, weight norm is folded.

mod config;
mod encoder;
mod feature_extractor;
mod layer;
mod model;

pub use config::{FeatureNorm, MertConfig};
pub use encoder::{Encoder, PositionalEmbedding};
pub use feature_extractor::{ConvLayer, ConvNorm, FeatureExtractor, FeatureProjection};
pub use layer::{Attention, FeedForward, Layer};
pub use model::Mert;
