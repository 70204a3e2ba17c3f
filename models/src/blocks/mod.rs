//! Blocks that several networks are made of, named and keyed as in the published libraries.

mod activation;
mod ada_group_norm;
mod attention;
mod batch_norm;
mod blur;
mod embedding;
mod fourier;
mod resample;
mod resnet;
pub mod unet;

pub use activation::Activation;
pub use ada_group_norm::AdaGroupNorm;
pub use attention::Attention;
pub(crate) use attention::AttentionSettings;
pub use batch_norm::BatchNorm;
pub use embedding::TimestepEmbedding;
pub(crate) use embedding::sinusoids;
pub use fourier::FourierProjection;
pub use resample::{Downsample, Upsample};
pub use resnet::{Resample, ResnetBlock};
pub(crate) use resnet::{ResnetSettings, check_groups, conv3x3, new_norm};
