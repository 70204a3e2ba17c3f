//! Nocturne: a folder of recordings in, new music out.
//!
//! This library joins [`nocturne_models`], [`nocturne_vocoder`] and [`nocturne_evaluation`] into jobs. The `nocturne`
//! binary is a thin command line over it.

pub mod cli;
pub mod config;
pub mod dataset;
pub mod encodings;
pub mod evaluate;
mod hash;
pub mod hub;
pub mod interrupt;
pub mod jobs;
pub mod latents;
pub mod memory;
pub mod musicgen;
pub mod npy;
mod pickle;
pub mod pipeline;
pub mod progress;
pub mod quickstart;
pub mod report;
pub mod representation;
pub mod skipped;
pub mod synth;
pub mod train;
pub mod vocoding;
