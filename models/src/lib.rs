//! Networks, diffusion mathematics and checkpoints: code, not weights.
//!
//! This crate is the leaf of the workspace. It knows tensors and published file formats; it knows no audio and no
//! command.

pub mod audio_encoder;
pub mod backbone;
pub mod blocks;
pub mod checkpoint;
pub mod clap;
pub mod clip;
pub mod device;
pub mod diffusion;
pub mod dit;
pub mod encodec;
pub mod files;
pub mod initialise;
pub mod mert;
pub mod musicgen;
pub mod network;
pub mod ops;
pub mod panns;
pub mod parameters;
pub mod patch_gan;
pub mod perceptual;
pub mod random;
pub mod recompute;
pub mod t5;
pub mod unet;
pub mod unet_condition;
pub mod vae;
pub mod vggish;
pub mod weight_norm;
