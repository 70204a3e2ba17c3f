//! MusicGen as a job: captions in, music out.

mod file_names;
mod generate;
mod level;
mod model;
mod settings;
mod windows;

pub use generate::{GenerateError, Generated, Job, Prompt, generate};
pub use level::Strategy;
pub use model::{Model, OpenError};
pub use settings::{MusicgenExperiment, MusicgenSampling, SettingsError};
