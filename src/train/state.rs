//! The folder of training checkpoints, `state/step-N/`: whole or absent, the last few and the best kept.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use nocturne_models::files::write_atomically;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::TrainError;
use super::meter::Meter;

const MANIFEST: &str = "state.json";
const PREFIX: &str = "step-";
const TEMPORARY: &str = ".writing-";
const REPLACED: &str = ".replaced-";

/// Where a run is: with the weights, the optimiser and the average, all that the rest of it depends on. Random numbers
/// and the order of the data follow from the seed and from `drawn`. `M` is what is measured between two log entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress<M = Meter> {
    /// Optimiser steps taken.
    pub step: u64,
    /// Training items drawn.
    pub drawn: u64,
    /// Measured since the last log entry.
    pub meter: M,
    /// The validation loss at this very step, where it was computed.
    pub validation_loss: Option<f64>,
    /// The distance of samples at this very step, where it was measured.
    #[serde(default)]
    pub fad: Option<f64>,
}

/// What `state.json` of a checkpoint holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest<M = Meter> {
    /// Where the run was.
    pub progress: Progress<M>,
    /// The resolved configuration of the run.
    pub config: Value,
    /// Length and CRC-32C of every other file.
    files: BTreeMap<String, FileSum>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileSum {
    bytes: u64,
    crc32c: u32,
}

/// A folder of checkpoints.
pub struct Store {
    folder: PathBuf,
    keep_last: usize,
}

impl Store {
    /// The checkpoints in `folder`, which need not exist. The newest `keep_last` are kept.
    pub fn new(folder: PathBuf, keep_last: usize) -> Self {
        Self { folder, keep_last }
    }

    /// Saves a checkpoint, whose files `write` puts into the folder that it is given, and removes those that are neither
    /// among the last nor the best: by the distance of samples where that was measured, else by validation loss. Gives
    /// the path of the new one.
    ///
    /// Everything is written to a temporary folder, synced and renamed.
    pub fn save<M: Clone + Serialize>(
        &self,
        progress: &Progress<M>,
        config: &Value,
        write: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<PathBuf, TrainError> {
        fs::create_dir_all(&self.folder).map_err(TrainError::io(&self.folder))?;
        self.remove_leftovers()?;
        let temporary = self.folder.join(format!("{TEMPORARY}{}", progress.step));
        fs::create_dir(&temporary).map_err(TrainError::io(&temporary))?;
        write(&temporary)?;
        let manifest = Manifest { progress: progress.clone(), config: config.clone(), files: sums(&temporary)? };
        let path = temporary.join(MANIFEST);
        write_atomically(&path, |out| Ok(serde_json::to_writer_pretty(out, &manifest)?))
            .map_err(TrainError::io(&path))?;

        let place = self.path(progress.step);
        self.replace(&temporary, &place).map_err(TrainError::io(&place))?;
        self.prune()?;
        Ok(place)
    }

    /// The newest whole checkpoint. A damaged one is passed over with a warning.
    pub fn latest<M: DeserializeOwned>(&self) -> Result<Option<(PathBuf, Manifest<M>)>, TrainError> {
        let mut damaged = None;
        for step in self.steps()?.into_iter().rev() {
            let path = self.path(step);
            match check(&path) {
                Ok(manifest) => return Ok(Some((path, manifest))),
                Err(error) => {
                    tracing::warn!("checkpoint passed over: {error}");
                    damaged = damaged.or(Some(error));
                }
            }
        }
        damaged.map_or(Ok(None), Err)
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{step}"))
    }

    /// The steps of all checkpoints, rising.
    fn steps(&self) -> Result<Vec<u64>, TrainError> {
        let mut steps: Vec<u64> =
            self.entries()?.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok()).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    fn entries(&self) -> Result<Vec<String>, TrainError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(TrainError::io(&self.folder)(error)),
        };
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
        names.collect::<io::Result<_>>().map_err(TrainError::io(&self.folder))
    }

    /// What an interrupted save or removal left behind.
    fn remove_leftovers(&self) -> Result<(), TrainError> {
        for name in self.entries()?.iter().filter(|name| name.starts_with(TEMPORARY) || name.starts_with(REPLACED)) {
            let path = self.folder.join(name);
            fs::remove_dir_all(&path).map_err(TrainError::io(&path))?;
        }
        Ok(())
    }

    /// Renames `from` to `to`; a checkpoint that is there already makes way first.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        let replaced = self.folder.join(format!("{REPLACED}{}", std::process::id()));
        let occupied = to.exists();
        if occupied {
            fs::rename(to, &replaced)?;
        }
        fs::rename(from, to)?;
        sync_folder(&self.folder)?;
        if occupied { fs::remove_dir_all(&replaced) } else { Ok(()) }
    }

    fn prune(&self) -> Result<(), TrainError> {
        let steps = self.steps()?;
        let manifest = |step| read_manifest::<IgnoredAny>(&self.path(step)).ok();
        let progress: Vec<_> = steps.iter().filter_map(|step| Some((manifest(*step)?.progress, *step))).collect();
        let least = |of: fn(&Progress<IgnoredAny>) -> Option<f64>| {
            let numbers = progress.iter().filter_map(|(progress, step)| Some((of(progress)?, *step)));
            numbers.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, step)| step)
        };
        let best = least(|progress| progress.fad).or_else(|| least(|progress| progress.validation_loss));
        let old = &steps[..steps.len().saturating_sub(self.keep_last)];
        for step in old.iter().filter(|step| Some(**step) != best) {
            let path = self.path(*step);
            fs::remove_dir_all(&path).map_err(TrainError::io(&path))?;
        }
        Ok(())
    }
}

/// Reads the manifest of a checkpoint and compares every file with it.
fn check<M: DeserializeOwned>(checkpoint: &Path) -> Result<Manifest<M>, TrainError> {
    let manifest = read_manifest(checkpoint)?;
    for (name, expected) in &manifest.files {
        let path = checkpoint.join(name);
        let found = sum(&path)?;
        if found != *expected {
            return Err(TrainError::Damaged {
                checkpoint: path,
                found: format!("{} bytes with checksum {:08x}", found.bytes, found.crc32c),
                expected: format!("{} bytes with checksum {:08x}", expected.bytes, expected.crc32c),
            });
        }
    }
    Ok(manifest)
}

fn read_manifest<M: DeserializeOwned>(checkpoint: &Path) -> Result<Manifest<M>, TrainError> {
    let path = checkpoint.join(MANIFEST);
    let text = fs::read(&path).map_err(TrainError::io(&path))?;
    serde_json::from_slice(&text).map_err(|error| TrainError::Damaged {
        checkpoint: path,
        found: error.to_string(),
        expected: "the state of a training run".into(),
    })
}

fn sums(folder: &Path) -> Result<BTreeMap<String, FileSum>, TrainError> {
    let mut sums = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(TrainError::io(folder))? {
        let path = entry.map_err(TrainError::io(folder))?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            sums.insert(name.to_string(), sum(&path)?);
        }
    }
    Ok(sums)
}

fn sum(path: &Path) -> Result<FileSum, TrainError> {
    let read = || {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut sum = FileSum { bytes: 0, crc32c: 0 };
        loop {
            let block = reader.fill_buf()?;
            if block.is_empty() {
                return Ok(sum);
            }
            let length = block.len();
            sum = FileSum { bytes: sum.bytes + length as u64, crc32c: crc32c::crc32c_append(sum.crc32c, block) };
            reader.consume(length);
        }
    };
    read().map_err(TrainError::io(path))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn save(store: &Store, step: u64, validation_loss: Option<f64>) -> PathBuf {
        let progress = Progress::<Meter> { step, validation_loss, ..Progress::default() };
        let write = |folder: &Path| {
            fs::write(folder.join("weights"), step.to_string().repeat(1000)).map_err(TrainError::io(folder))
        };
        store.save(&progress, &Value::Null, write).unwrap()
    }

    fn store(keep_last: usize) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("state"), keep_last);
        (folder, store)
    }

    #[test]
    fn keeps_the_last_and_the_best() {
        let (_folder, store) = store(2);
        for (step, loss) in [(1, 0.5), (2, 0.2), (3, 0.4), (10, 0.3), (11, 0.6)] {
            save(&store, step, Some(loss));
        }
        assert_eq!(store.steps().unwrap(), [2, 10, 11]);
        assert_eq!(store.latest::<Meter>().unwrap().unwrap().1.progress.step, 11);
    }

    #[test]
    fn measured_samples_count_more_than_the_loss() {
        let (_folder, store) = store(1);
        for (step, loss, fad) in [(1, 0.1, None), (2, 0.4, Some(3.0)), (3, 0.3, Some(5.0)), (4, 0.2, Some(4.0))] {
            let progress = Progress::<Meter> { step, validation_loss: Some(loss), fad, ..Progress::default() };
            store.save(&progress, &Value::Null, |_| Ok(())).unwrap();
        }
        assert_eq!(store.steps().unwrap(), [2, 4]);
    }

    #[test]
    fn a_damaged_checkpoint_is_passed_over() {
        let (_folder, store) = store(3);
        assert!(store.latest::<Meter>().unwrap().is_none());
        save(&store, 1, None);
        let second = save(&store, 2, None);
        let third = save(&store, 3, None);
        let whole = fs::read(third.join("weights")).unwrap();
        fs::write(third.join("weights"), &whole[..500]).unwrap();
        assert_eq!(store.latest::<Meter>().unwrap().unwrap().0, second);
        fs::remove_file(second.join(MANIFEST)).unwrap();
        assert_eq!(store.latest::<Meter>().unwrap().unwrap().1.progress.step, 1);
        let mut flipped = fs::read(store.path(1).join("weights")).unwrap();
        flipped[7] ^= 1;
        fs::write(store.path(1).join("weights"), flipped).unwrap();
        assert!(matches!(store.latest::<Meter>(), Err(TrainError::Damaged { .. })));
    }

    #[test]
    fn an_interrupted_save_changes_nothing_and_is_cleared_away() {
        let (_folder, store) = store(3);
        let first = save(&store, 1, None);
        let failed = store.save(&Progress::<Meter> { step: 2, ..Progress::default() }, &Value::Null, |folder| {
            fs::write(folder.join("weights"), "half").map_err(TrainError::io(folder))?;
            Err(TrainError::NoExamples)
        });
        assert!(failed.is_err());
        assert_eq!(store.latest::<Meter>().unwrap().unwrap().0, first);
        save(&store, 2, None);
        save(&store, 2, None);
        let mut names = store.entries().unwrap();
        names.sort_unstable();
        assert_eq!(names, ["step-1", "step-2"]);
    }
}
