//! Embeddings, distances, scores and reports.
//!
//! Music becomes vectors (an [`Embedder`]: [`pooled_mel::PooledMel`], [`vggish::Vggish`], …), a set of vectors becomes its mean and covariance ([`Statistics`]), and two sets
//! are compared ([`frechet_distance`]). An embedding is `[frame, dim]`.

mod batches;
pub mod clap;
pub mod clap_text;
pub mod embedder;
mod frechet;
mod front_end;
pub mod panns;
pub mod pooled_mel;
mod statistics;
#[cfg(test)]
mod testing;
pub mod vggish;
mod weights;

pub use embedder::Embedder;
pub use frechet::{FrechetError, frechet_distance};
pub use statistics::Statistics;
pub use weights::WeightsError;
