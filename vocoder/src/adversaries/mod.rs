//! What a vocoder is trained against: discriminators that tell recordings from what it makes, and the losses of both sides.
//!
//! * v1 and v2: the multi-period discriminator (Kong, Kim and Bae, "HiFi-GAN", 2020);
//! * v1: the multi-resolution discriminator (Jang et al., "`UnivNet`", 2021);
//! * v2: the multi-scale sub-band constant-Q discriminator (Gu et al., "Multi-Scale Sub-Band Constant-Q Transform
//!   Discriminator for High-Fidelity Vocoder", 2023), and the multi-scale mel loss.
//!
//! Key for key as the `mpd` and `mrd` of BigVGAN's `bigvgan_discriminator_optimizer.pt`.

mod config;
mod constant_q;
mod filters;
mod layers;
mod loss;
mod low_pass;
mod mel_loss;
mod model;
mod period;
mod resolution;
mod spectra;
mod stft;
mod stft_distance;
mod sub_band;

pub use config::AdversariesConfig;
pub use constant_q::ConstantQ;
pub use layers::Judgement;
pub use loss::{Game, discriminator_loss, generator_loss};
pub use mel_loss::MelLoss;
pub use model::{Adversaries, Spectral};
pub use period::{MultiPeriod, Period};
pub use resolution::{MultiResolution, Resolution};
pub use spectra::{Spectra, Transforms};
pub use stft_distance::StftDistance;
pub use sub_band::{MultiScaleSubBand, SubBand};
