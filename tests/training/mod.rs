//! What training runs are tested on, and how what they leave behind is read.

use std::collections::BTreeMap;
use std::path::Path;

use nocturne::train::TrainError;
use nocturne::train::batches::Examples;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::random::Random;

pub const SIZE: usize = 16;

/// Smooth stripes, different for each recording.
pub struct Stripes {
    pub sources: Vec<String>,
    pub poisoned: Option<usize>,
}

impl Stripes {
    pub fn new(recordings: usize) -> Self {
        Self { sources: (0..4 * recordings).map(|i| format!("music/{}.wav", i / 4)).collect(), poisoned: None }
    }
}

impl Examples for Stripes {
    fn len(&self) -> usize {
        self.sources.len()
    }

    fn shape(&self) -> [usize; 3] {
        [1, SIZE, SIZE]
    }

    fn source(&self, index: usize) -> &str {
        &self.sources[index]
    }

    fn read(&self, index: usize, _: &mut Random, out: &mut [f32]) -> Result<(), TrainError> {
        for (pixel, value) in out.iter_mut().enumerate() {
            let (mel, frame) = ((pixel / SIZE) as f32, (pixel % SIZE) as f32);
            *value = (0.3 * mel + 0.1 * (index % 5) as f32 * frame).sin();
        }
        if self.poisoned == Some(index) {
            out[3] = f32::NAN;
        }
        Ok(())
    }
}

pub fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let checkpoint = Checkpoint::open(path).unwrap();
    checkpoint.names().map(|name| (name.to_string(), checkpoint.read(name).unwrap())).collect()
}

/// The JSONL log without its timings.
pub fn log(output: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(output.join("logs/train.jsonl")).unwrap();
    let entries = text.lines().map(|line| {
        let mut entry: serde_json::Value = serde_json::from_str(line).unwrap();
        entry.as_object_mut().unwrap().remove("seconds_per_step");
        entry
    });
    entries.collect()
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}
