//! Embeddings, distances, scores and reports.
//!
//! Music becomes vectors (an [`Embedder`]: [`pooled_mel::PooledMel`], [`vggish::Vggish`], …), a set of vectors becomes its mean
//! and covariance ([`Statistics`]), and two sets are compared: by their normal distributions ([`Gaussian`]), by a kernel
//! ([`KernelDistance`]), by their neighbours ([`Manifolds`]). An embedding is `[frame, dim]`; [`Embeddings`] are those of many
//! clips.

mod batches;
mod bootstrap;
pub mod clap;
mod clap_score;
pub mod clap_text;
mod classes;
mod draws;
pub mod embedder;
mod embeddings;
pub mod encodec;
mod fad;
mod fad_infinity;
pub mod fadtk;
mod frechet;
mod front_end;
mod kernel;
mod manifold;
pub mod mert;
mod nuclear;
mod pairs;
pub mod panns;
mod plane;
pub mod pooled_mel;
mod statistics;
#[cfg(test)]
mod testing;
pub mod vggish;
mod weights;

pub use bootstrap::{Bootstrap, Interval};
pub use clap_score::{ClapScore, ClapScoreError, FasMap, clap_score, clas, clas_interval, cosine};
pub use classes::{
    ClassesError, Direction, Pooling, clip_divergence, inception_score, inception_score_interval, kl_divergence,
    mean_over_clips, softmax,
};
pub use draws::Draws;
pub use embedder::Embedder;
pub use embeddings::{EmbeddingError, Embeddings};
pub use fad::{frechet_interval, per_song};
pub use fad_infinity::{FadInfinity, FadInfinityError, FadInfinityResult, Line, line};
pub use frechet::{FrechetError, Gaussian, frechet_distance};
pub use kernel::{KAD_SCALE, Kernel, KernelDistance, median_distance};
pub use manifold::{ManifoldScores, Manifolds, NEAREST};
pub use plane::{Plane, clip_means};
pub use statistics::{Gathering, Statistics};
pub use weights::WeightsError;
