//! Everything between samples and mel spectrograms.

pub mod adversaries;
pub mod audio;
pub mod bigvgan;
pub mod griffin_lim;
pub mod mel;
