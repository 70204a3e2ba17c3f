//! The blocks of U-Nets, one type a file, and what goes between them: those of `UNet2DModel` and `UNet2DConditionModel` of
//! diffusers, key for key.
//!
//! A block is made from `BlockSettings`, which each network's configuration fills in.

// There are few blocks, and a module has no box.
#![allow(clippy::large_enum_variant)]

mod added_attention;
mod block_attention;
mod context;
mod cross_attention;
mod cross_norm;
mod down;
mod feed_forward;
mod fit;
mod k_attention;
mod k_down;
mod k_layer;
mod k_resnet;
mod k_up;
mod kind;
mod layer;
mod mid;
mod plain_down;
mod plain_up;
mod settings;
mod skip_down;
mod skip_up;
mod skips;
mod transformer;
mod up;

pub use added_attention::AddedAttention;
pub use block_attention::BlockAttention;
pub use context::Context;
pub use cross_attention::CrossAttention;
pub use cross_norm::CrossNorm;
pub(crate) use cross_norm::CrossNormKind;
pub use down::DownBlock;
pub use feed_forward::{FeedForward, Geglu};
pub(crate) use fit::Ladder;
pub use k_attention::KAttention;
pub use k_down::KDownBlock;
pub use k_resnet::KResnetBlock;
pub use k_up::KUpBlock;
pub(crate) use kind::BlockKind;
pub use mid::MidBlock;
pub use plain_down::{Downsampler, PlainDownBlock};
pub use plain_up::{PlainUpBlock, Upsampler};
pub(crate) use settings::BlockSettings;
pub use skip_down::SkipDownBlock;
pub use skip_up::SkipUpBlock;
pub use skips::Skips;
pub use transformer::{Projection, Transformer2D, TransformerBlock};
pub use up::UpBlock;
