use std::path::Path;
use std::sync::Arc;

use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::mel::{ImageMel, LOG_RANGE, LogMel, LogMelConfig, Reference};
use rayon::prelude::*;

use super::DatasetError;
use super::options::MelMethod;
use super::picture::Picture;
use super::rows::{Row, RowValues};

/// The slices of one recording.
pub struct Extracted {
    /// Its slices in order, without the silent ones.
    pub rows: Vec<Row>,
    /// How many slices were silent.
    pub silent: u64,
    /// How long the recording is.
    pub seconds: f64,
}

/// Cuts recordings into slices and computes their mels. The plans and filterbanks are made once.
pub enum Extractor {
    /// Pictures.
    Image {
        /// The transform.
        mel: ImageMel,
        /// What is 0 dB.
        reference: Reference,
    },
    /// Float log-mels.
    LogMel {
        /// The transform.
        mel: LogMel,
        /// Frames of a slice.
        frames: usize,
    },
}

impl Extractor {
    /// Plans the transforms of a method.
    pub fn new(method: &MelMethod) -> Result<Self, DatasetError> {
        Ok(match method {
            MelMethod::Image { config, reference_level } => Self::Image {
                mel: ImageMel::new(config)?,
                reference: reference_level.map_or(Reference::SliceMaximum, Reference::Level),
            },
            MelMethod::BigVgan { model, frames } => {
                Self::LogMel { mel: LogMel::new(&LogMelConfig::published(model)?)?, frames: *frames }
            }
        })
    }

    /// Decodes a file, mixes it to mono, resamples it, and cuts it. The whole file is in memory meanwhile. An error is the
    /// reason, in words, why the file cannot be used.
    pub fn extract(&self, path: &Path, audio_file: &Arc<str>) -> Result<Extracted, String> {
        let (samples, seconds) = read_mono(path, self.sample_rate())?;
        let (rows, silent) = self.cut(&samples, audio_file)?;
        Ok(Extracted { rows, silent, seconds })
    }

    /// The slices of mono samples at the method's rate, and how many were silent.
    pub fn cut(&self, samples: &[f32], audio_file: &Arc<str>) -> Result<(Vec<Row>, u64), String> {
        let values = match self {
            Self::Image { mel, reference } => pictures(mel, *reference, samples),
            Self::LogMel { mel, frames } => log_mels(mel, *frames, samples),
        };
        let slices = values.len();
        if slices > i16::MAX as usize + 1 {
            return Err(format!("{slices} slices, expected at most 32768, what the slice column can count"));
        }
        let rows: Vec<_> = values
            .into_iter()
            .zip(0_i16..=i16::MAX)
            .filter_map(|((start, values), slice)| {
                let start_seconds = start as f64 / f64::from(self.sample_rate());
                Some(Row { values: values?, audio_file: audio_file.clone(), slice, start_seconds })
            })
            .collect();
        let silent = (slices - rows.len()) as u64;
        Ok((rows, silent))
    }

    fn sample_rate(&self) -> u32 {
        match self {
            Self::Image { mel, .. } => mel.config().sample_rate,
            Self::LogMel { mel, .. } => mel.config().sampling_rate,
        }
    }
}

/// The samples of a recording, mixed to mono and resampled, and how many seconds they are. An error is the reason, in words,
/// why the file cannot be used.
pub fn read_mono(path: &Path, sample_rate: u32) -> Result<(Vec<f32>, f64), String> {
    let audio = Audio::decode(path).map_err(|error| {
        let reason = error.to_string();
        // Whoever reads the reason has the path beside it.
        reason.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&reason).to_string()
    })?;
    let seconds = audio.seconds();
    let samples = audio.into_mono(sample_rate);
    if samples.is_empty() {
        return Err("no samples".to_string());
    }
    if samples.iter().any(|sample| !sample.is_finite()) {
        return Err("samples that are not finite".to_string());
    }
    Ok((samples, seconds))
}

/// The first sample and the values of each slice; no values where it is silent.
type Slices = Vec<(usize, Option<RowValues>)>;

/// Slices beside one another; a remainder is dropped, a short recording padded (as diffusers' `Mel` does).
fn pictures(mel: &ImageMel, reference: Reference, samples: &[f32]) -> Slices {
    let cut = |index| {
        let image = mel.image(&mel.slice(samples, index), reference);
        let start = index * mel.slice_size();
        if image.is_silent() {
            return (start, None);
        }
        let reference_level = image.reference_level;
        let png = Picture { width: image.width, height: image.height, pixels: image.pixels }.to_png();
        (start, Some(RowValues::Image { png, reference_level }))
    };
    (0..mel.slices(samples.len())).into_par_iter().map(cut).collect()
}

/// Slices of the file's log-mel beside one another, the last one reaching back over the one before, so that the end of the
/// recording is kept. A recording shorter than one slice is padded with silence.
fn log_mels(mel: &LogMel, frames: usize, samples: &[f32]) -> Slices {
    let hop = mel.config().hop_size;
    let padded;
    let samples = if samples.len() < frames * hop {
        padded = [samples, &vec![0.0; frames * hop - samples.len()]].concat();
        &padded
    } else {
        samples
    };
    let whole = mel.mel(samples);
    let (bands, total) = whole.dim();
    let tail = (!total.is_multiple_of(frames)).then(|| total - frames);
    let starts = (0..total / frames).map(|index| index * frames).chain(tail);
    let silence = LOG_RANGE[0] + 1e-3;
    starts
        .map(|start| {
            let slice = whole.slice(ndarray::s![.., start..start + frames]);
            let values = slice
                .iter()
                .any(|value| *value > silence)
                .then(|| RowValues::LogMel { mel: slice.iter().map(|value| value.min(LOG_RANGE[1])).collect(), bands });
            (start * hop, values)
        })
        .collect()
}
