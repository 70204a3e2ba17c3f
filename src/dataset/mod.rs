//! Mel datasets: made of a folder of recordings ([`prepare`]), and read for training ([`Dataset`]).
//!
//! On disk they are what Python's `datasets` saves: `dataset_dict.json` with `train/data-*.arrow` (or `data/train-*.parquet`),
//! columns `image` or `mel`, `audio_file`, `slice`, then our own: `reference_level` (the power that is 0 dB in a picture) and
//! `start_seconds`. Beside them, where `datasets` does not look: `prepare.json` (options and counts), `mel/` (the mel settings)
//! and `skipped.jsonl` (files left out, each with its reason).

mod arrow_files;
mod column;
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

pub(crate) use column::{Column, add_column};
pub use error::DatasetError;
pub(crate) use error::panic_message;
pub use example::Example;
pub(crate) use example::{item, text};
pub(crate) use extract::read_mono;
pub(crate) use features::item as item_field;
pub use merge::merge;
pub use open::Dataset;
pub use options::{Format, MAX_SHARD_BYTES, MelMethod, PrepareOptions, Shard};
pub(crate) use ordered::ordered;
pub(crate) use parquet_files::ParquetFiles;
pub use picture::Picture;
pub use prepare::{FileDone, PrepareReport, prepare};
pub(crate) use publish::{hash, holds_dataset};
pub use summary::Summary;
pub(crate) use walk::walk;
