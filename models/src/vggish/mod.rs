//! VGGish, which hears sounds as vectors: `torchvggish`'s checkpoint, key for key, and the whitening of its published
//! vectors.
//!
//! Hershey et al., "CNN Architectures for Large-Scale Audio Classification" (2017).

mod model;
mod whitening;

pub use model::Vggish;
pub use whitening::Whitening;
