//! Blocks that several networks are made of, named and keyed as in the published libraries.

mod attention;
mod batch_norm;
mod embedding;
mod layer;
mod resample;
mod resnet;

pub use attention::Attention;
pub(crate) use attention::AttentionSettings;
pub use batch_norm::BatchNorm;
pub use embedding::TimestepEmbedding;
pub(crate) use embedding::sinusoids;
pub(crate) use layer::Layer;
pub use resample::{Downsample, Upsample};
pub use resnet::{Resample, ResnetBlock};
pub(crate) use resnet::{ResnetSettings, conv3x3, new_norm};
