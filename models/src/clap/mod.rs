//! LAION's CLAP, which hears sounds and reads captions as vectors of one space: the audio branch, HTSAT, in its published
//! sizes, and the text branch. Files of LAION's own training and those of transformers' `ClapModel` are read; fields are named as in the
//! former.
//!
//! Wu et al., "Large-Scale Contrastive Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption Augmentation"
//! (2023); Chen et al., "HTS-AT" (2022); Liu et al., "Swin Transformer" (2021). For inference: dropout and stochastic depth
//! are left out. Without feature fusion.

mod audio;
mod block;
mod checkpoint;
mod config;
mod htsat;
mod merging;
mod projection;
mod stage;
mod stretch;
pub mod text;
mod windows;

pub use audio::ClapAudio;
pub use block::{Mlp, SwinBlock, WindowAttention};
pub use config::{ClapAudioConfig, ClapConfig};
pub use htsat::{Htsat, PatchEmbed};
pub use merging::PatchMerging;
pub use stage::Stage;
pub use text::{ClapText, ClapTextConfig, ClapTokenizer};
