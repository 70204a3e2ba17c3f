//! From a model folder to new mels, pictures and audio.

mod generate;
mod model_folder;
mod sampling;

pub use generate::{Clip, GenerateError, Generated, Generation, generate};
pub use model_folder::{ModelFolder, ModelFolderError};
pub use sampling::{SampleError, SamplingSettings, Scheduler, drawn_noise, sample_mels};
