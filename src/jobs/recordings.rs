//! Recordings to train on by pieces, decoded as they are wanted.

use super::checked::{Checked, Finding};
use crate::dataset::{Dataset, DatasetError, ordered, panic_message, read_mono, walk};
use crate::skipped::Skipped;
use crate::train::TrainError;
use crate::train::batches::Examples;
use nocturne_models::random::Random;
use nocturne_vocoder::audio::READS;
use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
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
    #[error("{}: none of its {count} recordings can be used; the first, {}: {}", place.display(), first.audio_file, first.reason)]
    Unreadable {
        /// The folder or the dataset.
        place: PathBuf,
        /// How many there are.
        count: usize,
        /// The first, and why it cannot.
        first: Skipped,
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
    /// The threads that read recordings cannot be made.
    #[error("no threads to read recordings with: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The job was interrupted.
    #[error("interrupted")]
    Interrupted,
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

    /// The files, and the links that were not followed.
    fn files(&self) -> Result<(Vec<PathBuf>, Vec<Skipped>), DatasetError> {
        match self {
            Self::Folder(folder) => {
                let listing = walk(folder, &READS, false)?;
                if listing.files.is_empty() {
                    return Err(DatasetError::NoAudio { folder: folder.clone(), expected: READS.join(", ") });
                }
                let unfollowed =
                    listing.unfollowed.iter().map(|(link, reason)| Skipped::new(folder.join(link), reason));
                Ok((listing.files.iter().map(|file| folder.join(file)).collect(), unfollowed.collect()))
            }
            Self::Dataset(path) => {
                let (names, _) = Dataset::open(path)?.audio_files()?;
                let mut seen = HashSet::new();
                let files = names.into_iter().filter(|name| seen.insert(name.clone())).map(PathBuf::from);
                Ok((files.collect(), Vec::new()))
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

impl Kept {
    fn keep(&mut self, index: usize, samples: Arc<Vec<f32>>) {
        self.samples += samples.len();
        self.recordings.push_back((index, samples));
        while self.samples > MOST_KEPT {
            let Some((_, oldest)) = self.recordings.pop_front() else { break };
            self.samples -= oldest.len();
        }
    }
}

impl Recordings {
    /// Finds them, and decodes each once, where `checked` does not know it: what cannot be used is left out, and named.
    /// `on_recording(done, total)` is told of every one.
    pub fn find(
        source: &Source,
        segment: usize,
        checked: &mut Checked,
        stop: &AtomicBool,
        mut on_recording: impl FnMut(usize, usize),
    ) -> Result<(Self, Vec<Skipped>), RecordingsError> {
        let place = source.path().to_owned();
        let (found, mut skipped) = source.files()?;
        let rate = checked.rate();
        let findings: Vec<Option<Finding>> = found.iter().map(|file| checked.finding(file).cloned()).collect();
        let (mut files, mut kept, mut longest, mut short) = (Vec::new(), Kept::default(), None::<(usize, PathBuf)>, 0);
        let read = |index: usize| match &findings[index] {
            Some(finding) => (finding.clone(), None),
            // A decoder that panics on a damaged file costs that file, not the job.
            None => match catch_unwind(AssertUnwindSafe(|| read_mono(&found[index], rate))) {
                Ok(Ok((samples, _))) => (Finding::Samples(samples.len()), Some(samples)),
                Ok(Err(reason)) => (Finding::Reason(reason), None),
                Err(panic) => (Finding::Reason(panic_message(panic.as_ref())), None),
            },
        };
        let pool = rayon::ThreadPoolBuilder::new().build()?;
        ordered(&pool, found.len(), pool.current_num_threads() + 1, read, |index, (finding, samples)| {
            if stop.load(Ordering::Relaxed) {
                return Err(RecordingsError::Interrupted);
            }
            if findings[index].is_none() {
                checked.add(&found[index], finding.clone());
            }
            match finding {
                Finding::Samples(count) => {
                    short += usize::from(count < segment);
                    if longest.as_ref().is_none_or(|(most, _)| count > *most) {
                        longest = Some((count, found[index].clone()));
                    }
                    if let Some(samples) = samples.filter(|_| kept.samples + count <= MOST_KEPT) {
                        kept.keep(files.len(), Arc::new(samples));
                    }
                    files.push(found[index].clone());
                }
                Finding::Reason(reason) => skipped.push(Skipped::new(&found[index], &reason)),
            }
            on_recording(index + 1, found.len());
            Ok(())
        })?;
        let seconds = |samples: usize| samples as f64 / f64::from(rate);
        match (longest, skipped.first()) {
            (None, Some(first)) => {
                return Err(RecordingsError::Unreadable { place, count: skipped.len(), first: first.clone() });
            }
            (Some((longest, file)), _) if longest < segment => {
                let (longest, segment) = (seconds(longest), seconds(segment));
                return Err(RecordingsError::Short { place, file, longest, segment });
            }
            _ => {}
        }
        if short > 0 {
            tracing::warn!(
                "{short} of the recordings, shorter than a segment of {:.2} s: silence is put behind them",
                seconds(segment)
            );
        }
        let names = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
        Ok((Self { files, names, rate, segment, kept: Mutex::new(kept) }, skipped))
    }

    /// One recording as it is heard by the vocoder: mono, at its rate.
    fn decoded(&self, index: usize) -> Result<Arc<Vec<f32>>, TrainError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, samples)) = kept.recordings.iter().find(|(known, _)| *known == index) {
            return Ok(samples.clone());
        }
        let (samples, _) = read_mono(&self.files[index], self.rate).map_err(|reason| TrainError::Example {
            index,
            audio_file: self.names[index].clone(),
            source: reason.into(),
        })?;
        let samples = Arc::new(samples);
        kept.keep(index, samples.clone());
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
