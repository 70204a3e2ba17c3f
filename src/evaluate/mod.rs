//! Sets of music, scored against each other: what is behind `nocturne evaluate`.
//!
//! A set is a folder of audio, a folder of `.npy` embeddings, or statistics in an `.npz`; [`Loader`] reads them all. Metrics come
//! from `nocturne_evaluation`; here many sets meet many references under many models, and become one [`Report`].

mod cache;
mod embed;
mod embedder;
mod error;
mod fad;
mod kad;
mod load;
mod moments;
mod report;
mod source;
mod stats;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use nocturne_evaluation::Bootstrap;

pub use cache::default_folder as default_cache_folder;
pub use embed::{Layout, embed};
pub use embedder::{POOLED_MEL, Profile};
pub use error::EvaluateError;
pub use fad::{FadOptions, fad};
pub use kad::{Bandwidth, KadOptions, VectorMetric, kad};
pub use load::{Keep, Loader, Provenance, Set};
pub use moments::Moments;
pub use report::{Report, Row, Song};
pub use stats::{Measured, merge, stats};

/// What is compared with what.
pub struct Sets<'a> {
    /// The sets that are taken for true.
    pub references: &'a [PathBuf],
    /// The sets to be scored.
    pub generated: &'a [PathBuf],
    /// Under which models; none for the one that the sets are of.
    pub models: &'a [String],
    /// How audio is prepared.
    pub profile: Profile,
    /// Where vectors of audio are kept from run to run.
    pub cache: Option<&'a Path>,
    /// Intervals.
    pub bootstrap: Bootstrap,
    /// Setting it ends the job.
    pub stop: &'a AtomicBool,
}

/// Hears which set is being read, how many files are done, and of how many.
pub type OnProgress<'a> = dyn FnMut(&Path, usize, usize) + 'a;

impl Sets<'_> {
    fn models(&self) -> Vec<String> {
        if !self.models.is_empty() {
            return self.models.to_vec();
        }
        let paths: Vec<&Path> = self.references.iter().chain(self.generated).map(PathBuf::as_path).collect();
        vec![source::only_model(&paths)]
    }

    fn loader<'a>(&'a self, model: &'a str, fadtk_rounding: bool) -> Loader<'a> {
        Loader { model, profile: self.profile, cache: self.cache, fadtk_rounding, shard: None, stop: self.stop }
    }
}

fn same_dimension(reference: &Provenance, generated: &Provenance) -> Result<(), EvaluateError> {
    if reference.dim == generated.dim {
        return Ok(());
    }
    Err(EvaluateError::Dimension {
        path: generated.path.clone(),
        found: generated.dim,
        other: reference.path.clone(),
        expected: reference.dim,
    })
}
