//! CLIP, which sees pictures and reads captions as vectors of one space: the vision transformer, the text transformer, and how
//! alike what they give is. Folders of transformers' `CLIPModel` and of its halves with projections are read, and state dicts with
//! `OpenAI`'s names, alone or inside of other checkpoints; fields are named as in the former.
//!
//! Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021). For inference. The networks
//! with convolutions in the place of the vision transformer are not known here.

mod checkpoint;
mod config;
mod layer;
mod model;
mod pictures;
mod resize;
mod text;
mod vision;

pub use config::{ClipConfig, ClipTextConfig, ClipVisionConfig};
pub use layer::{Attention, Encoder, Layer, Mlp};
pub use model::Clip;
pub use pictures::{PicturesError, prepare};
pub use resize::resize;
pub use text::{ClipText, TextEmbeddings, TextTransformer};
pub use vision::{ClipVision, VisionEmbeddings, VisionTransformer};
