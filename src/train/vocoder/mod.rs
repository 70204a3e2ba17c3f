//! Training of a vocoder: a BigVGAN against its adversaries, as the published `train.py` trains it.
//!
//! [`run::train`] runs the loop. Data flow: recordings → [`segments`] → [`learner`] ([`normed`]) → [`meter`]; logs, samples
//! and checkpoints are those of every run ([`super::course`]).

pub mod config;
pub mod learner;
pub mod meter;
pub mod normed;
pub mod run;
pub mod segments;

pub use config::{VocoderConfig, VocoderSettings, train_settings};
pub use run::{Callbacks, Outcome, Training, train};
