//! From mels to audio: the choice between Griffin-Lim and BigVGAN, and the job of `nocturne vocode`.

mod checkpoint;
mod fit;
pub mod hub;
mod input;
mod job;
mod vocoder;

pub use checkpoint::{BigVganCheckpoint, CheckpointError, cached, folder, hub_name};
pub use fit::{Unfit, check_fit, check_model_fit, described};
pub use input::InputError;
pub use job::{VocodeError, Vocoded, Vocoding, vocode};
pub use vocoder::{Mels, Vocoder, VocoderError, VocoderKind};
