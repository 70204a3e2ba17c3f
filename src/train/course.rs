//! What every training run does around its steps: it goes on from the newest checkpoint, logs, samples and saves in a model
//! folder.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::config::{TrainSettings, differences};
use super::error::TrainError;
use super::log::Log;
use super::meter::NotFinite;
use super::samples::{Sample, write_samples};
use super::state::{Progress, Store};

/// The model folder of a run under way.
pub struct Course {
    output: PathBuf,
    config: Value,
    store: Store,
    log: Log,
    checkpoint: Option<(u64, PathBuf)>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Optimiser steps taken, those before a resumption included.
    pub step: u64,
    /// Optimiser steps of the whole run.
    pub total_steps: u64,
    /// Mean training loss of the last log entry.
    pub loss: Option<f64>,
    /// Median of the warm steps.
    pub seconds_per_step: Option<f64>,
}

/// A number by parts: an array in the JSONL log, `name/part` in TensorBoard.
pub struct Series {
    /// What is measured.
    pub name: &'static str,
    /// The parts in their order, with the number of each that has one.
    pub parts: Vec<(String, Option<f64>)>,
}

/// What is to be done after a step.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Log what was measured since the last entry.
    pub log: bool,
    /// Measure on held-out examples.
    pub validate: bool,
    /// Write samples.
    pub sample: bool,
    /// Measure samples.
    pub evaluate: bool,
    /// Save a checkpoint and publish.
    pub save: bool,
}

impl Due {
    /// At `step`, of which the run has `total`, and of which each `evaluate`th is measured, if that is not 0.
    pub fn at(step: u64, total: u64, settings: &TrainSettings, evaluate: u64) -> Self {
        let last = step == total;
        let due = |interval: u64| last || (interval > 0 && step.is_multiple_of(interval));
        let evaluate = evaluate > 0 && due(evaluate);
        // What was measured can be the best.
        let save = evaluate || due(settings.save_model_steps);
        Self {
            log: due(settings.log_steps),
            validate: save || due(settings.validate_steps),
            sample: due(settings.save_images_steps),
            evaluate,
            save,
        }
    }

    /// Whether anything is.
    pub fn any(self) -> bool {
        self.log || self.validate || self.sample || self.save
    }
}

impl Course {
    /// Opens a model folder. Where it holds a checkpoint and the run is to be resumed, `load` is given that, and the fields
    /// of `config` that begin with one of `kept` must be as they were; other changes are told.
    pub fn open<C: Serialize + DeserializeOwned, M: Default + DeserializeOwned>(
        output: &Path,
        config: &C,
        kept: &[&str],
        keep_last: usize,
        resume: bool,
        load: impl FnOnce(&Path, &Progress<M>) -> Result<(), TrainError>,
    ) -> Result<(Self, Progress<M>), TrainError> {
        let folder = output.join("state");
        let store = Store::new(folder.clone(), keep_last);
        let config = json!(config);
        let (mut progress, mut checkpoint) = (Progress::default(), None);
        match store.latest::<M>()? {
            Some(_) if !resume => return Err(TrainError::Occupied { folder }),
            Some((path, manifest)) => {
                // A field that an older checkpoint lacks had what is now its default.
                let saved = C::deserialize(&manifest.config).map_or(manifest.config, |saved| json!(saved));
                check_unchanged(&path, &saved, &config, kept)?;
                load(&path, &manifest.progress)?;
                progress = manifest.progress;
                checkpoint = Some((progress.step, path));
            }
            None if resume => tracing::warn!("{}: no checkpoint to resume from; starting anew", folder.display()),
            None => {}
        }
        let logs = output.join("logs");
        let log = Log::open(&logs, progress.step).map_err(TrainError::io(&logs))?;
        Ok((Self { output: output.to_owned(), config, store, log, checkpoint }, progress))
    }

    /// The newest checkpoint, and the step it was saved at.
    pub fn checkpoint(&self) -> Option<&(u64, PathBuf)> {
        self.checkpoint.as_ref()
    }

    /// The error of a step that went wrong.
    pub fn not_finite(&self, NotFinite { step, files }: NotFinite) -> TrainError {
        TrainError::NotFinite { step, files, checkpoint: self.checkpoint.as_ref().map(|(_, path)| path.clone()) }
    }

    /// Logs numbers, those that there are, and perhaps a series of them.
    pub fn log(
        &mut self,
        step: u64,
        numbers: &[(&str, Option<f64>)],
        series: Option<Series>,
    ) -> Result<(), TrainError> {
        let mut entry = Map::from_iter([("step".to_owned(), json!(step))]);
        let write = |log: &mut Log| {
            for (name, value) in numbers {
                entry.insert((*name).to_owned(), json!(value));
                if let Some(value) = value {
                    log.scalar(step, name, *value as f32)?;
                }
            }
            if let Some(Series { name, parts }) = series {
                for (part, value) in &parts {
                    if let Some(value) = value {
                        log.scalar(step, &format!("{name}/{part}"), *value as f32)?;
                    }
                }
                entry.insert(name.to_owned(), parts.into_iter().map(|(_, value)| json!(value)).collect());
            }
            log.line(&entry)
        };
        write(&mut self.log).map_err(TrainError::io(&self.output.join("logs")))
    }

    /// Writes samples into `samples/step-N/`, or a folder in it for those of one `kind`, and the log.
    pub fn samples(&mut self, step: u64, kind: Option<&str>, samples: &[Sample]) -> Result<(), TrainError> {
        let mut folder = self.output.join("samples").join(format!("step-{step}"));
        folder.extend(kind);
        write_samples(&folder, samples).map_err(TrainError::io(&folder))?;
        for (index, sample) in samples.iter().enumerate() {
            let written = self.log.sample(step, &format!("{}/{index}", kind.unwrap_or("samples")), sample);
            written.map_err(TrainError::io(&self.output.join("logs")))?;
        }
        Ok(())
    }

    /// Saves a checkpoint, whose files `write` puts into the folder that it is given.
    pub fn save<M: Clone + Serialize>(
        &mut self,
        progress: &Progress<M>,
        write: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        // The log must not lag behind a checkpoint.
        self.log.sync().map_err(TrainError::io(&self.output.join("logs")))?;
        let path = self.store.save(progress, &self.config, write)?;
        self.checkpoint = Some((progress.step, path));
        Ok(())
    }
}

fn check_unchanged(checkpoint: &Path, saved: &Value, configured: &Value, kept: &[&str]) -> Result<(), TrainError> {
    for difference in differences(saved, configured) {
        let field = difference.field;
        // Which latents and encodings they were, an older checkpoint does not say.
        let known = !field.starts_with("data.") || !(difference.first.is_null() || difference.second.is_null());
        let (saved, configured) = (difference.first.to_string(), difference.second.to_string());
        if known && kept.iter().any(|prefix| field.starts_with(prefix)) {
            return Err(TrainError::Changed { checkpoint: checkpoint.to_owned(), field, saved, configured });
        }
        tracing::warn!("resuming with `{field}` {configured}; it was {saved}");
    }
    Ok(())
}
