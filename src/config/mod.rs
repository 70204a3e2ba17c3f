//! Experiments: what a YAML file in `configs/` may say, and how flags are laid over it.

mod layers;

pub use layers::{ConfigError, Layers};
