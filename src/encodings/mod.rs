//! Encodings of captions and recordings, which conditional models are given beside the noise: made with a text or an audio
//! encoder ([`text`], [`audio`]), written as safetensors, and found again by the id of what they encode.

mod error;
mod pickle;
mod store;
mod write;

pub use error::EncodingsError;
pub use store::{Encoding, Encodings};
pub use write::write;
