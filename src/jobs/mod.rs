//! Jobs: what a command does, joined from the rooms of this crate.

mod mels;
mod train_diffusion;

pub use mels::Mels;
pub use train_diffusion::{JobError, TrainDiffusion, train_diffusion};
