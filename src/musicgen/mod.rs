//! MusicGen as a job: captions in, for some models with a tune, music out.

mod beginning;
mod export;
mod file_names;
mod generate;
mod job;
mod level;
mod manifest;
mod melody;
mod model;
mod parts;
mod pieces;
mod precision;
mod settings;
mod stream;
mod training;
mod windows;
mod zip;

pub use beginning::{Beginning, BeginningError, recording};
pub use export::{ExportError, Format, export};
pub use generate::{Files, generate};
pub use job::{GenerateError, Generated, Job, Prompt};
pub use level::Strategy;
pub use melody::{Melody, MelodyError};
pub use model::{Model, OpenError};
pub use parts::resolve;
pub use precision::Precision;
pub use settings::{MusicgenExperiment, MusicgenSampling, SettingsError};
pub use stream::{Target, stream};
pub use training::TrainingError;
