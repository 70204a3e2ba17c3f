//! Everything between samples and mel spectrograms.
