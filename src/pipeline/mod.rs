//! From a model folder to new mels, pictures and audio.

mod generate;
mod mels;
mod model_folder;
mod sampling;

pub use generate::{Clip, GenerateError, Generated, Generation, generate};
pub use mels::{Guide, Sampling};
pub use model_folder::{ModelFolder, ModelFolderError, Networks, open_vae, write_vae};
pub use sampling::{SampleError, SamplingSettings, Scheduler, drawn_noise};
