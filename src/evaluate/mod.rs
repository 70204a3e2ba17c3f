//! Sets of music, scored against each other: what is behind `nocturne evaluate`.
//!
//! A set is a folder of audio, a folder of `.npy` embeddings, or statistics in an `.npz`; [`Loader`] reads them all. Metrics come
//! from `nocturne_evaluation`; here many sets meet many references under many models, and become one [`Report`].

mod cache;
mod captions;
mod clap;
mod compare;
mod embed;
mod error;
mod fad;
mod hear;
mod ids;
mod intake;
mod kad;
mod kld;
mod listener;
mod load;
mod map;
mod moments;
mod page;
mod profile;
mod report;
mod set;
mod source;
mod stats;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;

pub use cache::default_folder;
pub use captions::Captions;
pub use clap::{ClapModel, ClasOptions, clap, clas_scores};
pub use compare::{OnProgress, Pair, Sets};
pub use embed::{Layout, embed};
pub use error::EvaluateError;
pub use fad::{FadOptions, fad};
pub use ids::Manifest;
pub use intake::Keep;
pub use kad::{Bandwidth, KadOptions, VectorMetric, kad};
pub use kld::{Classifier, ClipPooling, KldOptions, inception, kld};
pub use listener::{POOLED_MEL, Weights};
pub use load::Loader;
pub use map::{Map, MappedClip, MappedSet};
pub use moments::Moments;
pub use page::write as write_page;
pub use profile::Profile;
pub use report::{Report, Row, Song};
pub use set::{Provenance, Set};
pub use stats::{Measured, merge, stats};

/// How audio becomes vectors.
pub struct Hearing<'a> {
    /// The folder of published weights, or a model's own file.
    pub weights: &'a Path,
    /// Where networks run.
    pub device: &'a Device,
    /// How audio is prepared.
    pub profile: Profile,
    /// Where vectors of audio are kept from run to run.
    pub cache: Option<&'a Path>,
    /// Setting it ends the job.
    pub stop: &'a AtomicBool,
}
