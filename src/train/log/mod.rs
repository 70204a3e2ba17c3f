//! The training log: `TensorBoard` events and one JSON object a line, side by side in one folder.
//!
//! Every entry belongs to an optimiser step and steps never go back, so that a resumed run cuts both files after the
//! step that it resumes from and goes on in the same files, without duplicates.

mod event;
mod tfrecord;

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::samples::Sample;

const JSONL: &str = "train.jsonl";
const EVENTS_SUFFIX: &str = ".nocturne";

/// An open log.
pub struct Log {
    lines: File,
    events: File,
}

impl Log {
    /// Opens the log in `folder`, keeping what was logged up to and including `step` and cutting the rest. A new run
    /// opens it at step 0.
    pub fn open(folder: &Path, step: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let lines = open_cut(&folder.join(JSONL), |bytes| lines_until(bytes, step))?;
        let mut events = open_cut(&events_path(folder)?, |bytes| events_until(bytes, step))?;
        if events.stream_position()? == 0 {
            tfrecord::write_record(&mut events, &event::encode(wall_time(), 0, &event::Value::FileVersion))?;
        }
        Ok(Self { lines, events })
    }

    /// Appends one object to the JSONL file.
    pub fn line(&mut self, entry: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.lines.write_all(&line)
    }

    /// Appends one number to the `TensorBoard` file.
    pub fn scalar(&mut self, step: u64, tag: &str, value: f32) -> io::Result<()> {
        self.event(step, &event::Value::Scalar { tag, value })
    }

    /// Appends the picture and, where there is one, the audio of a sample to the `TensorBoard` file.
    pub fn sample(&mut self, step: u64, tag: &str, sample: &Sample) -> io::Result<()> {
        let Sample { width, height, png, clip } = sample;
        self.event(step, &event::Value::Image { tag, width: *width, height: *height, png })?;
        let Some(clip) = clip else { return Ok(()) };
        let value = event::Value::Audio {
            tag: &format!("{tag}/audio"),
            sample_rate: clip.sample_rate,
            channels: clip.channels,
            frames: clip.frames,
            wav: &clip.wav,
        };
        self.event(step, &value)
    }

    /// Forces everything logged so far onto the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.lines.sync_data()?;
        self.events.sync_data()
    }

    fn event(&mut self, step: u64, value: &event::Value) -> io::Result<()> {
        tfrecord::write_record(&mut self.events, &event::encode(wall_time(), step, value))
    }
}

/// Opens a file for appending after its first `keep(contents)` bytes.
fn open_cut(path: &Path, keep: impl Fn(&[u8]) -> usize) -> io::Result<File> {
    let length = match std::fs::read(path) {
        Ok(bytes) => keep(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.set_len(length as u64)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

fn lines_until(bytes: &[u8], step: u64) -> usize {
    #[derive(serde::Deserialize)]
    struct Entry {
        step: u64,
    }
    let kept = |line: &&[u8]| {
        line.ends_with(b"\n") && serde_json::from_slice::<Entry>(line).is_ok_and(|entry| entry.step <= step)
    };
    bytes.split_inclusive(|byte| *byte == b'\n').take_while(kept).map(<[u8]>::len).sum()
}

fn events_until(bytes: &[u8], step: u64) -> usize {
    let kept = |(_, event): &(usize, &[u8])| event::step(event).is_some_and(|found| found <= step);
    tfrecord::records(bytes).take_while(kept).last().map_or(0, |(end, _)| end)
}

/// The event file of an earlier run in this folder, or a name for a new one. `TensorBoard` asks for `tfevents` in it.
fn events_path(folder: &Path) -> io::Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_str().is_some_and(|name| name.contains(".tfevents.") && name.ends_with(EVENTS_SUFFIX)) {
            found.push(path);
        }
    }
    let name = format!("events.out.tfevents.{:010}{EVENTS_SUFFIX}", wall_time() as u64);
    Ok(found.into_iter().max().unwrap_or_else(|| folder.join(name)))
}

fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn steps(folder: &Path) -> (Vec<u64>, Vec<u64>) {
        let lines = std::fs::read_to_string(folder.join(JSONL)).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].clone());
        let events = std::fs::read(events_path(folder).unwrap()).unwrap();
        let events = tfrecord::records(&events).map(|(_, event)| event::step(event).unwrap()).collect();
        (lines.map(|step| step.as_u64().unwrap()).collect(), events)
    }

    fn write(log: &mut Log, steps: std::ops::RangeInclusive<u64>) {
        for step in steps {
            log.line(&json!({"step": step, "loss": 0.5})).unwrap();
            log.scalar(step, "loss", 0.5).unwrap();
        }
    }

    #[test]
    fn resuming_cuts_what_came_after_and_a_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        write(&mut Log::open(folder.path(), 0).unwrap(), 1..=5);
        // A crash in the middle of a line and of a record.
        let mut torn = OpenOptions::new().append(true).open(folder.path().join(JSONL)).unwrap();
        torn.write_all(b"{\"step\": 6, \"lo").unwrap();
        let mut torn = OpenOptions::new().append(true).open(events_path(folder.path()).unwrap()).unwrap();
        torn.write_all(&[9, 0, 0]).unwrap();

        write(&mut Log::open(folder.path(), 3).unwrap(), 4..=7);
        assert_eq!(steps(folder.path()), ((1..=7).collect(), (0..=7).collect()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_new_run_starts_an_empty_log() {
        let folder = tempfile::tempdir().unwrap();
        write(&mut Log::open(folder.path(), 0).unwrap(), 1..=2);
        Log::open(folder.path(), 0).unwrap();
        assert_eq!(steps(folder.path()), (vec![], vec![0]));
    }
}
