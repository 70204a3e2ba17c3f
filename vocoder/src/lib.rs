//! Everything between samples and mel spectrograms.

pub mod audio;
