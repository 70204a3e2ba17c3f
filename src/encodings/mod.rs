//! Encodings of captions and recordings, which conditional models are given beside the noise: made with a text encoder
//! ([`TextEncoder`]) from [`captions`], written as safetensors, and found again by the id of what they encode.

pub mod captions;
mod error;
mod pickle;
mod store;
mod text;
mod write;

pub use error::EncodingsError;
pub use store::{Encoding, Encodings};
pub use text::{TextEncoder, TextError};
pub use write::write;
