//! Mel datasets: made of a folder of recordings ([`prepare`]), and read for training ([`Dataset`]).
//!
//! On disk they are what Python's `datasets` saves: `dataset_dict.json` with `train/data-*.arrow` (or `data/train-*.parquet`),
//! columns `image` or `mel`, `audio_file`, `slice`, then our own: `reference_level` (the power that is 0 dB in a picture) and
//! `start_seconds`. Beside them, where `datasets` does not look: `prepare.json` (options and counts), `mel/` (the mel settings)
//! and `skipped.jsonl` (files left out, each with its reason).

mod arrow_files;
mod error;
mod example;
mod extract;
mod features;
mod inputs;
mod job;
mod journal;
mod merge;
mod open;
mod options;
mod ordered;
mod parquet_files;
mod picture;
mod prepare;
mod publish;
mod rows;
mod spool;
mod summary;
mod walk;
mod writer;

pub use error::DatasetError;
pub use example::Example;
pub use merge::merge;
pub use open::Dataset;
pub use options::{Format, MAX_SHARD_BYTES, MelMethod, PrepareOptions, Shard};
pub use picture::Picture;
pub use prepare::{FileDone, PrepareReport, prepare};
pub use summary::Summary;
pub(crate) use walk::walk;
