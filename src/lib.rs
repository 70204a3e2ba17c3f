
//!
//! Jobs that join the three crates: datasets, training, pipelines.
//! Nocturne: a folder of recordings in, new music out.
//! This library joins [`nocturne_models`], [`nocturne_vocoder`] and [`nocturne_evaluation`] into jobs. The `nocturne`
//! binary is a thin command line over it.
pub mod config;
pub mod report;
pub mod synth;
