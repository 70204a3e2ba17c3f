//! Recordings to train on by pieces, decoded as they are wanted.

use crate::dataset::{Dataset, DatasetError, walk};
use crate::train::TrainError;
use crate::train::batches::Examples;
use nocturne_models::random::Random;
use nocturne_vocoder::audio::{Audio, AudioError, READS, probe};
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// What is kept of decoded recordings, in samples: a gigabyte.
const MOST_KEPT: usize = 1 << 28;

/// Why there are no recordings to train on.
#[derive(Debug, Error)]
pub enum RecordingsError {
    /// The folder or the dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Nothing in it is a recording.
    #[error("{}: none of its {count} recordings can be read; the first: {source}", place.display())]
    Unreadable {
        /// The folder or the dataset.
        place: PathBuf,
        /// How many there are.
        count: usize,
        /// Why the first cannot.
        source: AudioError,
    },
    /// All are too short.
    #[error(
        "{}: the longest recording, {}, has {longest:.2} s, a segment {segment:.2} s",
        place.display(), file.display()
    )]
    Short {
        /// The folder or the dataset.
        place: PathBuf,
        /// The longest.
        file: PathBuf,
        /// Its seconds.
        longest: f64,
        /// Those of a segment.
        segment: f64,
    },
}

/// Where recordings are.
#[derive(Clone, Debug)]
pub enum Source {
    /// All sound files of a folder.
    Folder(PathBuf),
    /// The files that a mel dataset was made of.
    Dataset(PathBuf),
}

impl Source {
    /// The folder or the dataset.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Dataset(path) => path,
        }
    }

    fn files(&self) -> Result<Vec<PathBuf>, DatasetError> {
        match self {
            Self::Folder(folder) => {
                let listing = walk(folder, &READS, false)?;
                if listing.files.is_empty() {
                    return Err(DatasetError::NoAudio { folder: folder.clone(), expected: READS.join(", ") });
                }
                Ok(listing.files.iter().map(|file| folder.join(file)).collect())
            }
            Self::Dataset(path) => {
                let (names, _) = Dataset::open(path)?.audio_files()?;
                let mut seen = HashSet::new();
                Ok(names.into_iter().filter(|name| seen.insert(name.clone())).map(PathBuf::from).collect())
            }
        }
    }
}

/// Recordings of one rate, of which an example is a piece of `segment` samples.
pub struct Recordings {
    files: Vec<PathBuf>,
    names: Vec<String>,
    rate: u32,
    segment: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The oldest first.
    recordings: VecDeque<(usize, Arc<Vec<f32>>)>,
    samples: usize,
}

impl Recordings {
    /// Finds them, and has their headers read. Those that cannot be read are left out with a warning.
    pub fn find(source: &Source, rate: u32, segment: usize) -> Result<Self, RecordingsError> {
        let place = source.path().to_owned();
        let found = source.files()?;
        let (mut files, mut unreadable, mut longest, mut short) = (Vec::new(), None, None::<(f64, PathBuf)>, 0);
        let wanted = segment as f64 / f64::from(rate);
        for file in &found {
            match probe(file) {
                Err(error) => {
                    tracing::warn!("{}: left out: {error}", file.display());
                    unreadable = unreadable.or(Some(error));
                }
                Ok(info) => {
                    // A header that does not say is believed to be long enough.
                    let seconds = info.frames.map_or(f64::MAX, |frames| frames as f64 / f64::from(info.sample_rate));
                    short += usize::from(seconds < wanted);
                    if longest.as_ref().is_none_or(|(most, _)| seconds > *most) {
                        longest = Some((seconds, file.clone()));
                    }
                    files.push(file.clone());
                }
            }
        }
        match (longest, unreadable) {
            (None, Some(source)) => return Err(RecordingsError::Unreadable { place, count: found.len(), source }),
            (Some((longest, file)), _) if longest < wanted => {
                return Err(RecordingsError::Short { place, file, longest, segment: wanted });
            }
            _ => {}
        }
        if short > 0 {
            tracing::warn!(
                "{short} of the recordings, shorter than a segment of {wanted:.2} s: silence is put behind them"
            );
        }
        let names = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
        Ok(Self { files, names, rate, segment, kept: Mutex::default() })
    }

    /// One recording as it is heard by the vocoder: mono, at its rate.
    fn decoded(&self, index: usize) -> Result<Arc<Vec<f32>>, TrainError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, samples)) = kept.recordings.iter().find(|(known, _)| *known == index) {
            return Ok(samples.clone());
        }
        let audio = Audio::decode(&self.files[index]).map_err(|error| TrainError::Example {
            index,
            audio_file: self.names[index].clone(),
            source: Box::new(error),
        })?;
        let samples = Arc::new(audio.into_mono(self.rate));
        kept.samples += samples.len();
        kept.recordings.push_back((index, samples.clone()));
        while kept.samples > MOST_KEPT {
            let Some((_, oldest)) = kept.recordings.pop_front() else { break };
            kept.samples -= oldest.len();
        }
        Ok(samples)
    }
}

impl Examples for Recordings {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn shape(&self) -> [usize; 3] {
        [1, 1, self.segment]
    }

    fn source(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// A piece that begins anywhere; behind a shorter recording there is silence.
    fn read(&self, index: usize, draws: &mut Random, out: &mut [f32]) -> Result<(), TrainError> {
        let samples = self.decoded(index)?;
        let spare = samples.len().saturating_sub(out.len());
        let start = (draws.uniform() * (spare + 1) as f64) as usize;
        let piece = &samples[start.min(spare)..][..out.len().min(samples.len())];
        out.fill(0.0);
        out[..piece.len()].copy_from_slice(piece);
        Ok(())
    }
}
