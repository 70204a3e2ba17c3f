//! Embeddings, distances, scores and reports.
//!
//! Music becomes vectors ([`pooled_mel`]), a set of vectors becomes its mean and covariance ([`Statistics`]), and two sets
//! are compared ([`frechet_distance`]). An embedding is `[frame, dim]`.

mod frechet;
mod statistics;

pub use frechet::{FrechetError, frechet_distance};
pub use statistics::Statistics;
