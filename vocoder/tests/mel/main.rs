//! The mel front end and its inversion against librosa and BigVGAN; fixtures by `scripts/reference/mel.py`.
#![allow(clippy::unwrap_used)]

mod fixtures;
mod griffin_lim;
mod inversion;
mod log;
mod picture;
mod signals;
