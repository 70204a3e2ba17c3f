//! Jobs that join the three crates: datasets, training, pipelines.

pub mod report;
pub mod synth;
