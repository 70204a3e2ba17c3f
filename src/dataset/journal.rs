use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a job makes, and of what: a later run continues it only where both are the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobKey {
    /// The options that decide over the result.
    pub options: Value,
    /// A hash of the names, sizes and times of the input files.
    pub inputs: String,
}

/// How far a job is. Everything before it is in the shards and synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Input files done.
    pub files: usize,
    /// Slices written.
    pub slices: u64,
    /// Slices left out because nothing is in them.
    pub silent: u64,
    /// Files left out, each with its reason in `skipped.jsonl`.
    pub skipped: u64,
    /// Seconds of audio in the files that were used.
    pub seconds: f64,
    /// The shard that is being written.
    pub shard: usize,
    /// Its length.
    pub shard_bytes: u64,
    /// The length of the list of skipped files.
    pub skipped_bytes: u64,
    /// All files are done and the last shard is ended: only the publishing is left.
    pub complete: bool,
}

/// The record of a job: one JSON line for its key, then one for each point it can be continued from.
pub struct Journal {
    file: File,
}

impl Journal {
    /// Begins a journal.
    pub fn create(path: &Path, key: &JobKey) -> io::Result<Self> {
        let mut journal = Self { file: File::create(path)? };
        journal.append(key)?;
        Ok(journal)
    }

    /// Opens a journal to continue it: its key, and its last whole line. A journal that never got its first line is no
    /// journal.
    pub fn open(path: &Path) -> io::Result<Option<(Self, JobKey, Progress)>> {
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut key = None;
        let mut progress = Progress::default();
        let mut whole = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            if key.is_none() {
                let Ok(found) = serde_json::from_slice(line) else { return Ok(None) };
                key = Some(found);
            } else if let Ok(found) = serde_json::from_slice(line) {
                progress = found;
            } else {
                break;
            }
            whole += line.len() as u64;
        }
        let Some(key) = key else { return Ok(None) };
        // A line that was cut short by the interruption goes.
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Some((Self { file }, key, progress)))
    }

    /// Notes a point to continue from. What it speaks of must be synced before.
    pub fn note(&mut self, progress: &Progress) -> io::Result<()> {
        self.append(progress)
    }

    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(io::Error::other)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn continues_from_the_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        assert!(Journal::open(&path).unwrap().is_none());
        let key = JobKey { options: serde_json::json!({"flat": true}), inputs: "abc".to_string() };
        let mut journal = Journal::create(&path, &key).unwrap();
        assert_eq!(Journal::open(&path).unwrap().unwrap().2, Progress::default());
        let points = [1, 2].map(|files| Progress { files, seconds: 0.1, ..Progress::default() });
        journal.note(&points[0]).unwrap();
        journal.note(&points[1]).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            match Journal::open(&path).unwrap() {
                None => assert_eq!(lines, 0),
                Some((mut journal, found, progress)) => {
                    assert_eq!((found, progress.files), (key.clone(), lines - 1));
                    journal.note(&points[1]).unwrap();
                    assert_eq!(Journal::open(&path).unwrap().unwrap().2, points[1]);
                }
            }
        }
    }
}
