//! Embeddings, distances, scores and reports.
//!
//! Music becomes vectors ([`pooled_mel::PooledMel`]), a set of vectors becomes its mean and covariance ([`Statistics`]), and two sets
//! are compared ([`frechet_distance`]). An embedding is `[frame, dim]`.

mod frechet;
pub mod pooled_mel;
mod statistics;

pub use frechet::{FrechetError, frechet_distance};
pub use statistics::Statistics;
