//! Jobs: what a command does, joined from the rooms of this crate.

mod checked;
mod codec;
mod corpus;
mod distance;
mod mels;
mod recordings;
mod sample;
mod train_diffusion;
mod train_vae;
mod train_vocoder;
mod vocoder_quality;

pub use codec::{CodecError, CodecReport, Fidelity, measure_codec};
pub use corpus::{Corpus, Scaled};
pub use distance::DistanceError;
pub use mels::Mels;
pub use recordings::{Recordings, RecordingsError, Source};
pub use train_diffusion::{JobError, Stage, TrainDiffusion, train_diffusion};
pub use train_vae::{LevelsFor, TrainVae, TrainVaeError, VaeOutcome, train_vae};
pub use train_vocoder::{TrainVocoder, TrainVocoderError, VocoderOutcome, VocoderStage, train_vocoder};
pub use vocoder_quality::{VocoderQuality, measure_vocoder};
