//! Inputs that a job left out, each with the reason: the lines of `skipped.jsonl`.

use crate::dataset::holds_dataset;
use nocturne_models::files::{remove_if_there, write_atomic};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the list.
pub const LIST: &str = "skipped.jsonl";

/// An input that was left out: a line of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Skipped {
    /// The file, by the name that the job knows it by.
    pub audio_file: String,
    /// Why, in words.
    pub reason: String,
}

impl Skipped {
    /// A file that was left out. Where the reason begins with the file, that is not said twice.
    pub fn new(file: impl AsRef<Path>, reason: &str) -> Self {
        let audio_file = file.as_ref().to_string_lossy().into_owned();
        let reason = reason.strip_prefix(&format!("{audio_file}: ")).unwrap_or(reason).to_owned();
        Self { audio_file, reason }
    }

    /// The line, ended.
    pub fn line(&self) -> String {
        serde_json::json!(self).to_string() + "\n"
    }

    /// Tells the user.
    pub fn warn(&self) {
        tracing::warn!("skipped {}: {}", self.audio_file, self.reason);
    }
}

/// Writes the list into a job's folder, or removes that of an earlier run where nothing was left out. In a dataset's folder it
/// is the list of `prepare`, to which files are added that it has not.
///
/// # Errors
///
/// The list, and what the system said.
pub fn write(folder: &Path, skipped: &[Skipped]) -> Result<(), (PathBuf, io::Error)> {
    let list = folder.join(LIST);
    let kept = if holds_dataset(folder) { std::fs::read_to_string(&list).unwrap_or_default() } else { String::new() };
    let known: HashSet<String> = kept
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .map(|Skipped { audio_file, .. }| audio_file)
        .collect();
    let new = skipped.iter().filter(|skipped| !known.contains(&skipped.audio_file));
    let text = kept + &new.map(Skipped::line).collect::<String>();
    let written = if text.is_empty() { remove_if_there(&list) } else { write_atomic(&list, text.as_bytes()) };
    written.map_err(|error| (list, error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_list_is_that_of_the_last_run() {
        let folder = tempfile::tempdir().unwrap();
        let read = || std::fs::read_to_string(folder.path().join(LIST)).ok();
        let skipped = ["a.wav", "b \"c\".wav"].map(|name| Skipped::new(name, &format!("{name}: cut short")));
        write(folder.path(), &skipped).unwrap();
        let lines = "{\"audio_file\":\"a.wav\",\"reason\":\"cut short\"}\n\
                     {\"audio_file\":\"b \\\"c\\\".wav\",\"reason\":\"cut short\"}\n";
        assert_eq!(read().as_deref(), Some(lines));
        write(folder.path(), &skipped[1..]).unwrap();
        assert_eq!(read().as_deref(), lines.lines().nth(1).map(|line| format!("{line}\n")).as_deref());
        write(folder.path(), &[]).unwrap();
        assert_eq!(read(), None);
    }
}
