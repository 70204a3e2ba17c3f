//! Everything between samples and mel spectrograms.

// What is not inlined into `vectorised` is compiled for the oldest instruction set.
#![allow(clippy::inline_always)]

pub mod adversaries;
pub mod audio;
pub mod bigvgan;
pub mod chroma;
pub mod griffin_lim;
pub mod mel;
