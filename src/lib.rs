//! Jobs that join the three crates: datasets, training, pipelines.

pub mod npy;
pub mod report;
pub mod synth;
