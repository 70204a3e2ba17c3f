//! Everything between samples and mel spectrograms.

pub mod audio;
pub mod griffin_lim;
pub mod mel;
