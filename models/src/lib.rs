//! Networks, diffusion mathematics and checkpoints: code, not weights.
//!
//! This crate is the leaf of the workspace. It knows tensors and published file formats; it knows no audio and no
//! command.

pub mod diffusion;
pub mod random;
