//! MusicGen as a job: captions in, for some models with a tune, music out.

mod export;
mod file_names;
mod generate;
mod level;
mod melody;
mod model;
mod parts;
mod settings;
mod windows;

pub use export::{ExportError, Format, export};
pub use generate::{GenerateError, Generated, Job, Prompt, generate};
pub use level::Strategy;
pub use melody::Melody;
pub use model::{Model, OpenError};
pub use parts::resolve;
pub use settings::{MusicgenExperiment, MusicgenSampling, SettingsError};
