//! The job of `nocturne vocode`: audio of every mel in a file or a folder.

use super::input::{self, InputError};
use super::{CheckpointError, Mels, Unfit, Vocoder, VocoderError, VocoderKind, hub_name};
use crate::representation::{Representation, RepresentationConfig, RepresentationError};
use crate::skipped::{self, Skipped};
use burn::tensor::Device;
use nocturne_models::network::read_config;
use nocturne_vocoder::audio::{Audio, AudioError};
use nocturne_vocoder::bigvgan::BigVganConfig;
use nocturne_vocoder::mel::{LogMel, LogMelConfig, MelError};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Beside the mels that `generate` writes.
const MEL_CONFIG: &str = "mel_config.json";

/// Extensions of the files that hold mels.
const READS: [&str; 3] = ["npy", "pt", "pth"];

/// Griffin-Lim iterations where nothing says how many.
const ITERATIONS: usize = 32;

/// Why nothing was vocoded.
#[derive(Debug, Error)]
pub enum VocodeError {
    /// The input cannot be listed.
    #[error("cannot read `{path}`")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There are no mels.
    #[error("`{path}` holds no mels (.npy or .pt)")]
    NoMels {
        /// The folder.
        path: PathBuf,
    },
    /// Two mels would have one name.
    #[error("`{first}` and `{second}` would both become `{name}.wav`")]
    SameName {
        /// A file.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
        /// What they would become.
        name: String,
    },
    /// Nothing says what the numbers mean.
    #[error("`{path}` has no `{MEL_CONFIG}` beside it: what its mels are is not known")]
    Unknown {
        /// The file or folder.
        path: PathBuf,
    },
    /// The mels' settings cannot be used.
    #[error(transparent)]
    Representation(#[from] RepresentationError),
    /// A name that is none of BigVGAN's, or a mel that cannot be turned into audio.
    #[error(transparent)]
    Mel(#[from] MelError),
    /// The vocoder cannot be used.
    #[error(transparent)]
    Vocoder(#[from] VocoderError),
    /// A file cannot be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// No file of a folder can be used.
    #[error("none of the {count} files of `{path}` can be used; the first: {first}")]
    AllSkipped {
        /// The folder.
        path: PathBuf,
        /// How many.
        count: usize,
        /// Why not.
        first: Box<InputError>,
    },
    /// Audio cannot be written.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The file system refused.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The job was interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl From<Unfit> for VocodeError {
    fn from(error: Unfit) -> Self {
        Self::Vocoder(error.into())
    }
}

/// What to vocode, and how.
#[derive(Clone, Copy)]
pub struct Vocoding<'a> {
    /// A file of mels, or a folder of such files.
    pub input: &'a Path,
    /// Where the audio goes.
    pub output: &'a Path,
    /// Which vocoder.
    pub kind: VocoderKind,
    /// BigVGAN's folder, or its name on the hub; that of the model that made the mels if absent.
    pub checkpoint: Option<&'a str>,
    /// What the mels are, in a model's scale; the `mel_config.json` beside them if absent.
    pub mel_config: Option<&'a Path>,
    /// The BigVGAN whose mels these are, in natural logarithms: a published name, or a folder with its configuration.
    pub bigvgan_model: Option<&'a str>,
    /// Griffin-Lim iterations; the model's own number if absent.
    pub iterations: Option<usize>,
    /// The seed of Griffin-Lim's phases; each clip has the next one, as in `generate`.
    pub seed: u64,
    /// Where networks are.
    pub device: &'a Device,
    /// Setting it ends the job between two clips; what is finished stays.
    pub stop: &'a AtomicBool,
}

/// What was vocoded.
#[derive(Clone, Debug, Default)]
pub struct Vocoded {
    /// How many clips.
    pub clips: usize,
    /// How much audio.
    pub seconds: f64,
    /// Time from mels to samples.
    pub vocoding: Duration,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

/// What is known of the mels before the vocoder is.
enum Source {
    Model(Box<RepresentationConfig>),
    Published(LogMelConfig),
    /// What the checkpoint takes.
    Checkpoint,
}

/// Vocodes every mel into `<file's name>.wav`, or several of a file into `<file's name>_000000.wav` and so on.
/// `on_file(done, total)` is told of every file. Of a folder, files that cannot be used are left out.
pub fn vocode(job: Vocoding<'_>, mut on_file: impl FnMut(u64, u64)) -> Result<Vocoded, VocodeError> {
    let files = job.files()?;
    let source = job.source()?;
    let named = match &source {
        Source::Model(config) => config.bigvgan_model.as_ref().map(|name| hub_name(name)),
        _ => None,
    };
    let vocoder = Vocoder::open(job.kind, job.checkpoint.or(named.as_deref()), job.device)?;
    let (representation, transform);
    let mels = match source {
        Source::Model(mut config) => {
            config.mel.n_iter = job.iterations.unwrap_or(config.mel.n_iter);
            representation = Representation::new(&config)?;
            Mels::Model(&representation)
        }
        Source::Published(config) => {
            transform = LogMel::new(&config)?;
            Mels::Logarithms { transform: &transform, iterations: job.iterations.unwrap_or(ITERATIONS) }
        }
        Source::Checkpoint => {
            let Vocoder::BigVgan(checkpoint) = &vocoder else {
                return Err(VocodeError::Unknown { path: job.input.to_owned() });
            };
            transform = LogMel::new(&checkpoint.vocoder.config().mel)?;
            Mels::Logarithms { transform: &transform, iterations: ITERATIONS }
        }
    };
    vocoder.check(mels)?;
    let (mut done, mut first) = (Vocoded::default(), None);
    for (number, (name, file)) in files.iter().enumerate() {
        on_file(number as u64, files.len() as u64);
        let read = input::read(file).and_then(|arrays| {
            arrays.iter().try_for_each(|mel| input::check(file, mel, mels))?;
            Ok(arrays)
        });
        match read {
            Ok(arrays) => job.clips(&vocoder, mels, name, &arrays, &mut done)?,
            Err(error) if job.input.is_file() => return Err(error.into()),
            Err(error) => {
                done.skipped.push(Skipped::new(file, &error.to_string()));
                first.get_or_insert(error);
            }
        }
    }
    on_file(files.len() as u64, files.len() as u64);
    if let (0, Some(first)) = (done.clips, first) {
        let (path, count) = (job.input.to_owned(), files.len());
        return Err(VocodeError::AllSkipped { path, count, first: Box::new(first) });
    }
    skipped::write(job.output, &done.skipped).map_err(|(path, source)| VocodeError::Write { path, source })?;
    Ok(done)
}

impl Vocoding<'_> {
    /// The files, by the names that their audio is to have.
    fn files(&self) -> Result<BTreeMap<String, PathBuf>, VocodeError> {
        let read = |source| VocodeError::Read { path: self.input.to_owned(), source };
        let mut paths = vec![self.input.to_owned()];
        if std::fs::metadata(self.input).map_err(read)?.is_dir() {
            let entries =
                std::fs::read_dir(self.input).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(read)?;
            let known = |path: &Path| {
                let extension = path.extension().and_then(OsStr::to_str).unwrap_or("").to_ascii_lowercase();
                READS.contains(&extension.as_str()) && path.is_file()
            };
            paths = entries.into_iter().map(|entry| entry.path()).filter(|path| known(path)).collect();
            paths.sort();
        }
        let mut files = BTreeMap::new();
        for path in paths {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(first) = files.insert(name.clone(), path.clone()) {
                return Err(VocodeError::SameName { first, second: path, name });
            }
        }
        if files.is_empty() { Err(VocodeError::NoMels { path: self.input.to_owned() }) } else { Ok(files) }
    }

    fn source(&self) -> Result<Source, VocodeError> {
        if let Some(name) = self.bigvgan_model {
            let folder = Path::new(name);
            if folder.is_dir() {
                let config: BigVganConfig =
                    read_config(folder).map_err(|error| VocoderError::from(CheckpointError::from(error)))?;
                return Ok(Source::Published(config.mel));
            }
            return Ok(Source::Published(LogMelConfig::published(name)?));
        }
        let folder = if self.input.is_dir() { self.input } else { self.input.parent().unwrap_or(Path::new("")) };
        let beside = folder.join(MEL_CONFIG);
        match self.mel_config.or_else(|| beside.is_file().then_some(beside.as_path())) {
            Some(path) => Ok(Source::Model(Box::new(RepresentationConfig::open(path)?))),
            None if self.kind == VocoderKind::BigVgan => Ok(Source::Checkpoint),
            None => Err(VocodeError::Unknown { path: self.input.to_owned() }),
        }
    }

    /// Vocodes and writes the mels of one file.
    fn clips(
        &self,
        vocoder: &Vocoder,
        mels: Mels<'_>,
        name: &str,
        arrays: &[ndarray::Array3<f32>],
        done: &mut Vocoded,
    ) -> Result<(), VocodeError> {
        let sample_rate = match mels {
            Mels::Model(representation) => representation.config().mel.sample_rate,
            Mels::Logarithms { transform, .. } => transform.config().sampling_rate,
        };
        std::fs::create_dir_all(self.output)
            .map_err(|source| VocodeError::Write { path: self.output.to_owned(), source })?;
        let several = arrays.iter().map(|array| array.dim().0).sum::<usize>() > 1;
        let mut index = 0;
        for array in arrays {
            if self.stop.load(Ordering::Relaxed) {
                return Err(VocodeError::Interrupted);
            }
            let started = Instant::now();
            let clips = vocoder.audio(mels, array.view(), self.seed.wrapping_add(done.clips as u64))?;
            done.vocoding += started.elapsed();
            for samples in clips {
                let file = if several { format!("{name}_{index:06}.wav") } else { format!("{name}.wav") };
                let audio = Audio { sample_rate, channels: vec![samples] };
                done.seconds += audio.seconds();
                done.clips += 1;
                index += 1;
                audio.write(&self.output.join(file))?;
            }
        }
        Ok(())
    }
}
