use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::journal::{JobKey, Journal, Progress};
use super::publish::holds_dataset;
use super::{DatasetError, PrepareOptions};
use crate::skipped;

/// Where a job keeps what is not finished, inside the output folder.
pub const WORK_FOLDER: &str = ".prepare";

/// A job in its work folder, which is locked for it.
pub struct Job {
    /// The work folder.
    pub folder: PathBuf,
    /// What the job makes, and of what.
    pub key: JobKey,
    /// How far it is.
    pub at: Progress,
    journal: Journal,
    _lock: File,
}

impl Job {
    /// Begins a job, or continues one that was interrupted.
    pub fn open(options: &PrepareOptions, key: JobKey) -> Result<Self, DatasetError> {
        let output = &options.output_dir;
        let folder = output.join(WORK_FOLDER);
        let begun = folder.exists();
        if !begun && !options.overwrite && holds_dataset(output) {
            return Err(DatasetError::Exists { path: output.clone() });
        }
        fs::create_dir_all(&folder).map_err(DatasetError::io(&folder))?;
        let lock_path = folder.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(DatasetError::io(&lock_path))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(DatasetError::Busy { path: output.clone() }),
            // A file system without locks.
            Err(TryLockError::Error(error)) => tracing::debug!(%error, "no lock"),
            Ok(()) => {}
        }
        let path = folder.join("journal.jsonl");
        let found = Journal::open(&path).map_err(DatasetError::io(&path))?;
        let (journal, at) = match found {
            Some((journal, earlier, at)) if earlier == key => (journal, at),
            Some((_, earlier, _)) if !options.overwrite => {
                return Err(DatasetError::Interrupted { path: output.clone(), what: difference(&earlier, &key) });
            }
            _ => {
                if !options.overwrite && holds_dataset(output) {
                    return Err(DatasetError::Exists { path: output.clone() });
                }
                clear(&folder)?;
                (Journal::create(&path, &key).map_err(DatasetError::io(&path))?, Progress::default())
            }
        };
        Ok(Self { folder, key, at, journal, _lock: lock })
    }

    /// Notes a point to continue from. What it speaks of must be synced before.
    pub fn note(&mut self, at: Progress) -> Result<(), DatasetError> {
        self.journal.note(&at).map_err(DatasetError::io(&self.folder))?;
        self.at = at;
        Ok(())
    }

    /// The list of skipped files while it grows.
    pub fn skipped_path(&self) -> PathBuf {
        self.folder.join(skipped::LIST)
    }

    /// One text for the options and the inputs.
    pub fn identity(&self) -> String {
        format!("{} {}", self.key.options, self.key.inputs)
    }

    /// Removes the work folder.
    pub fn remove(self) -> Result<(), DatasetError> {
        fs::remove_dir_all(&self.folder).map_err(DatasetError::io(&self.folder))
    }
}

/// The first option that differs between two jobs.
fn difference(earlier: &JobKey, now: &JobKey) -> String {
    let (Some(before), Some(after)) = (earlier.options.as_object(), now.options.as_object()) else {
        return "options".to_string();
    };
    let differing = after.iter().find(|(name, value)| before.get(*name) != Some(value));
    differing.map_or("list of input files, sizes and times".to_string(), |(name, value)| {
        let before = before.get(name).map_or("none".to_string(), ToString::to_string);
        format!("{name} ({before}, now {value})")
    })
}

/// Empties a work folder, but for its lock.
fn clear(folder: &Path) -> Result<(), DatasetError> {
    for entry in fs::read_dir(folder).map_err(DatasetError::io(folder))? {
        let path = entry.map_err(DatasetError::io(folder))?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(DatasetError::io(&path))?;
        } else if !path.ends_with("lock") {
            fs::remove_file(&path).map_err(DatasetError::io(&path))?;
        }
    }
    Ok(())
}
