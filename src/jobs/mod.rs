//! Jobs: what a command does, joined from the rooms of this crate.

mod corpus;
mod mels;
mod train_diffusion;

pub use corpus::{Corpus, Scaled};
pub use mels::Mels;
pub use train_diffusion::{JobError, Stage, TrainDiffusion, train_diffusion};
