//! MusicGen as a job: captions in, music out.

mod export;
mod file_names;
mod generate;
mod level;
mod model;
mod parts;
mod precision;
mod settings;
mod windows;

pub use export::{ExportError, Format, export};
pub use generate::{GenerateError, Generated, Job, Prompt, generate};
pub use level::Strategy;
pub use model::{Model, OpenError};
pub use parts::resolve;
pub use precision::Precision;
pub use settings::{MusicgenExperiment, MusicgenSampling, SettingsError};
