//! Experiments: what a YAML file in `configs/` may say, and how flags are laid over it.

mod experiment;
mod layers;
mod model_size;
mod resolved;
mod vae;
mod vocoder;

pub use experiment::{DataSettings, Experiment};
pub use layers::{ConfigError, Layers};
pub use model_size::ModelSize;
pub use resolved::{write_resolved, write_resolved_as};
pub use vae::VaeExperiment;
pub use vocoder::{DEFAULT_VOCODER, RecordingSettings, VocoderExperiment};
