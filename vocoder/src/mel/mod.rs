//! Mel spectrograms and the way back to magnitudes.
//!
//! Two representations, as in the published systems:
//! * [`ImageMel`]: the 8-bit mel picture of `diffusers`' `Mel` class (librosa's power mel in decibels, below a reference),
//! * [`LogMel`]: BigVGAN's natural-log magnitude mel, in floats.
//!
//! Every type here is immutable and `Sync`: make it once, share it between threads, one slice or file a task.

mod config;
mod error;
mod filterbank;
mod image;
mod log;
mod nnls;
mod scale;
mod stft;

pub use config::MelConfig;
pub use error::MelError;
pub use filterbank::MelFilterbank;
pub use image::{ImageMel, MelImage, Reference};
pub use log::{LOG_RANGE, LogMel, LogMelConfig, log_from_unit, unit_from_log};
pub use nnls::MelInversion;
pub use scale::{pixel_from_unit, unit_from_pixel};
pub use stft::{Stft, StftScratch, pad_reflect, pad_zero};
