//! What decoding recordings once has shown, kept with the state of a run: a resumed one does not do it again.

use nocturne_models::files::{stamp, write_atomic};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a recording turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It can be used, and has so many samples at the rate of the run.
    Samples(usize),
    /// It cannot, for this reason.
    Reason(String),
}

/// A line of the list.
#[derive(Serialize, Deserialize)]
struct Line {
    audio_file: PathBuf,
    rate: u32,
    bytes: u64,
    modified: u64,
    #[serde(flatten)]
    finding: Finding,
}

/// The list, and what it says.
pub struct Checked {
    file: PathBuf,
    rate: u32,
    lines: HashMap<PathBuf, Line>,
}

impl Checked {
    /// The list at `file` of recordings at this rate; an empty one where there is none that can be read.
    pub fn open(file: PathBuf, rate: u32) -> Self {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let lines = lines.filter(|line: &Line| line.rate == rate);
        Self { lines: lines.map(|line| (line.audio_file.clone(), line)).collect(), file, rate }
    }

    /// The rate of the recordings, in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// What is known of a recording that has not changed since.
    pub fn finding(&self, recording: &Path) -> Option<&Finding> {
        let line = self.lines.get(recording)?;
        (stamp_of(recording).ok()? == (line.bytes, line.modified)).then_some(&line.finding)
    }

    /// Adds what was found. A recording that is no longer there is found again another time.
    pub fn add(&mut self, recording: &Path, finding: Finding) {
        if let Ok((bytes, modified)) = stamp_of(recording) {
            let audio_file = recording.to_owned();
            let line = Line { audio_file: audio_file.clone(), rate: self.rate, bytes, modified, finding };
            self.lines.insert(audio_file, line);
        }
    }

    /// Writes the list.
    ///
    /// # Errors
    ///
    /// The list, and what the system said.
    pub fn save(&self) -> Result<(), (PathBuf, io::Error)> {
        let mut lines: Vec<&Line> = self.lines.values().collect();
        lines.sort_by(|a, b| a.audio_file.cmp(&b.audio_file));
        let text: String = lines.iter().map(|line| serde_json::json!(line).to_string() + "\n").collect();
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let written = fs::create_dir_all(folder).and_then(|()| write_atomic(&self.file, text.as_bytes()));
        written.map_err(|error| (self.file.clone(), error))
    }
}

/// Size and nanoseconds, as a line has them.
fn stamp_of(recording: &Path) -> io::Result<(u64, u64)> {
    let (bytes, modified) = stamp(recording)?;
    Ok((bytes, u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn knows_what_has_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("state/recordings.jsonl");
        let [good, bad, changed] = ["good.wav", "bad.wav", "changed.wav"].map(|name| folder.path().join(name));
        let mut checked = Checked::open(list.clone(), 8000);
        for (file, finding) in
            [(&good, Finding::Samples(5)), (&bad, Finding::Reason("cut short".into())), (&changed, Finding::Samples(6))]
        {
            fs::write(file, "sound").unwrap();
            checked.add(file, finding);
        }
        checked.save().unwrap();
        fs::write(&changed, "another").unwrap();
        let checked = Checked::open(list.clone(), 8000);
        assert_eq!(checked.finding(&good), Some(&Finding::Samples(5)));
        assert_eq!(checked.finding(&bad), Some(&Finding::Reason("cut short".into())));
        assert_eq!(checked.finding(&changed), None);
        fs::remove_file(&good).unwrap();
        assert_eq!(checked.finding(&good), None);
        assert_eq!(Checked::open(list.clone(), 16_000).finding(&bad), None);
        fs::write(&list, "no list").unwrap();
        assert_eq!(Checked::open(list, 8000).finding(&bad), None);
    }
}
