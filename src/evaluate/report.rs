//! What came of an evaluation, and what it came from: as JSON, as CSV, and line by line.

use std::fs;
use std::path::{Path, PathBuf};

use nocturne_evaluation::Interval;
use nocturne_models::files::write_atomic;
use serde::Serialize;
use serde_json::Value;

use super::{EvaluateError, Loader, Map, Provenance, Weights};
use crate::skipped::Skipped;

/// Everything of one run. Two runs over the same files are the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version of this program.
    pub nocturne: &'static str,
    /// What was asked for.
    pub settings: Value,
    /// How audio comes to the rate of an embedder.
    pub resampler: &'static str,
    /// The numbers.
    pub results: Vec<Row>,
    /// What the models heard with.
    pub weights: Vec<Weights>,
    /// Clips that were heard and have nothing to be compared with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unpaired: Vec<Skipped>,
    /// Songs alone, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub songs: Vec<Song>,
    /// Where the clips lie, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<Map>,
    /// The references, as they were read.
    pub references: Vec<Provenance>,
    /// The scored sets, as they were read.
    pub generated: Vec<Provenance>,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Whose vectors.
    pub model: String,
    /// Which metric.
    pub metric: String,
    /// The number.
    pub value: f64,
    /// Where it probably is.
    pub interval: Option<Interval>,
    /// The reference, as it was given, of a metric that has one.
    pub reference: Option<PathBuf>,
    /// The scored set, as it was given.
    pub generated: PathBuf,
    /// Its clips, where they are known.
    pub clips: Option<usize>,
    /// Its vectors, where they are known.
    pub vectors: Option<usize>,
    /// What else there is to know of this metric.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

/// The number of one clip alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Song {
    /// Whose vectors.
    pub model: String,
    /// The reference, as it was given.
    pub reference: PathBuf,
    /// The set of the clip, as it was given.
    pub generated: PathBuf,
    /// Which metric.
    pub metric: &'static str,
    /// The clip.
    pub clip: String,
    /// The number; none of a clip with a single vector, which has no distance.
    pub value: Option<f64>,
}

impl Report {
    /// A report without results yet.
    pub fn new(settings: Value) -> Self {
        Self {
            nocturne: env!("CARGO_PKG_VERSION"),
            settings,
            resampler: "soxr HQ's filter",
            results: Vec::new(),
            weights: Vec::new(),
            unpaired: Vec::new(),
            songs: Vec::new(),
            maps: Vec::new(),
            references: Vec::new(),
            generated: Vec::new(),
        }
    }

    /// The files that were left out, set by set.
    pub fn skipped(&self) -> Vec<Skipped> {
        let sets = self.references.iter().chain(&self.generated);
        let mut all: Vec<Skipped> = sets
            .flat_map(|set| {
                set.skipped.iter().map(|skipped| Skipped::new(set.path.join(&skipped.audio_file), &skipped.reason))
            })
            .collect();
        all.extend(self.unpaired.iter().cloned());
        // A set is read for every model.
        all.sort();
        all.dedup();
        all
    }

    /// Puts everything into the order of the models, and leaves it so within a model.
    pub(super) fn sort_by_models(&mut self, loader: &Loader) {
        let place = |model: &str| loader.models().position(|known| known == model);
        self.results.sort_by_key(|row| place(&row.model));
        self.songs.sort_by_key(|song| place(&song.model));
        self.maps.sort_by_key(|map| place(&map.model));
        for sets in [&mut self.references, &mut self.generated] {
            sets.sort_by_key(|set| place(&set.model));
        }
    }

    /// Writes all of it.
    pub fn write_json(&self, path: &Path) -> Result<(), EvaluateError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| EvaluateError::io(path)(error.into()))?;
        write_below(path, format!("{text}\n").as_bytes())
    }

    /// Writes the results, a line a number.
    pub fn write_csv(&self, path: &Path) -> Result<(), EvaluateError> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let columns =
            ["model", "metric", "value", "low", "high", "standard_error", "reference", "generated", "clips", "vectors"];
        let mut lines = vec![columns.map(str::to_owned)];
        lines.extend(self.results.iter().map(|row| {
            let of =
                |field: fn(&Interval) -> f64| row.interval.as_ref().map_or(String::new(), |i| field(i).to_string());
            let count = |count: Option<usize>| count.map_or(String::new(), |count| count.to_string());
            [
                row.model.clone(),
                row.metric.clone(),
                row.value.to_string(),
                of(|interval| interval.low),
                of(|interval| interval.high),
                of(|interval| interval.standard_error),
                row.reference.as_ref().map_or(String::new(), |path| path.display().to_string()),
                row.generated.display().to_string(),
                count(row.clips),
                count(row.vectors),
            ]
        }));
        for line in &lines {
            out.write_record(line).map_err(|error| EvaluateError::io(path)(error.into()))?;
        }
        write_below(path, &out.into_inner().map_err(|error| EvaluateError::io(path)(error.into_error()))?)
    }

    /// Writes the songs, the largest number first.
    pub fn write_songs(&self, path: &Path) -> Result<(), EvaluateError> {
        let mut songs: Vec<&Song> = self.songs.iter().collect();
        songs.sort_by(|a, b| b.value.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.value.unwrap_or(f64::NEG_INFINITY)));
        let mut out = csv::Writer::from_writer(Vec::new());
        let header = ["model", "metric", "reference", "generated", "clip", "value"].map(str::to_owned);
        let lines = songs.into_iter().map(|song| {
            [
                song.model.clone(),
                song.metric.to_owned(),
                song.reference.display().to_string(),
                song.generated.display().to_string(),
                song.clip.clone(),
                song.value.map_or(String::new(), |value| value.to_string()),
            ]
        });
        for line in std::iter::once(header).chain(lines) {
            out.write_record(&line).map_err(|error| EvaluateError::io(path)(error.into()))?;
        }
        write_below(path, &out.into_inner().map_err(|error| EvaluateError::io(path)(error.into_error()))?)
    }
}

impl Row {
    /// A number of a set that is compared with no other.
    pub fn new(
        set: &Provenance,
        metric: impl Into<String>,
        value: f64,
        interval: Option<Interval>,
        details: Value,
    ) -> Self {
        Self {
            model: set.model.clone(),
            metric: metric.into(),
            value,
            interval,
            reference: None,
            generated: set.path.clone(),
            clips: set.clips,
            vectors: set.vectors,
            details,
        }
    }

    /// The number for people, with where it probably is.
    pub fn sentence(&self) -> String {
        let Self { model, metric, value, interval, reference, generated, .. } = self;
        let digits = |value: f64| if value.abs() < 10.0 { format!("{value:.4}") } else { format!("{value:.2}") };
        let range = interval
            .as_ref()
            .map_or(String::new(), |interval| format!(" [{}, {}]", digits(interval.low), digits(interval.high)));
        let value = digits(*value) + &range;
        let against = reference.as_ref().map_or(String::new(), |reference| format!(" against {}", reference.display()));
        format!("{metric:<10} {model:<12} {value:<28} {}{against}", generated.display())
    }
}

/// Writes a file, and the folder that it is in.
fn write_below(path: &Path, bytes: &[u8]) -> Result<(), EvaluateError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(EvaluateError::io(folder))?;
    }
    write_atomic(path, bytes).map_err(EvaluateError::io(path))
}
