//! A dataset's mels as a VAE sees them: encoded once, read many times.
//!
//! They live inside the dataset, in `latents/KEY/`, where KEY names the VAE by its configuration and weights:
//! `moments-00000.npy` and so on (float32 `[row, 2 · channel, height, width]`: means, then logarithms of variances, as the
//! VAE's encoder gives them) and `latents.json`, which is written last.

mod encode;
mod store;

pub use encode::{EncodeError, EncodeLatents, encode_latents};
pub use store::{Latents, LatentsError};
