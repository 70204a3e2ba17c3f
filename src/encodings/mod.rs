//! Encodings of captions and recordings, which conditional models are given beside the noise: made of [`captions`] with a
//! text encoder ([`TextEncoder`]) or of recordings with an [`AudioFileEncoder`], written as safetensors or into a dataset, and
//! found again by the id of what they encode.

mod audio;
pub mod captions;
mod column;
mod error;
mod pairing;
mod pickle;
mod short_names;
mod store;
mod text;
mod write;

pub use audio::{AudioFileEncoder, EncodeAudioError, Encoded, Recording, encode_recordings};
pub use column::{ColumnError, write_column};
pub use error::EncodingsError;
pub use pairing::PairingError;
pub use short_names::ShortNames;
pub use store::{Encoding, Encodings};
pub use text::{TextEncoder, TextError};
pub use write::write;
