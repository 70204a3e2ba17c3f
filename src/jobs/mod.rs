//! Jobs: what a command does, joined from the rooms of this crate.

mod mels;
mod train_unet;

pub use mels::Mels;
pub use train_unet::{JobError, TrainUnet, train_unet};
