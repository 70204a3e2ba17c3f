//! Recordings to encodings.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::audio_encoder::{AudioEncoder, AudioEncoderConfig};
use nocturne_models::network::{self, NetworkError};
use nocturne_vocoder::mel::{ImageMel, MelConfig, MelError, Reference};
use rayon::prelude::*;
use thiserror::Error;

use super::Encoding;
use crate::dataset::{ordered, panic_message, read_mono};
use crate::skipped::Skipped;

/// Slices that go through the network together.
const SLICES: usize = 16;

/// Why recordings cannot be encoded.
#[derive(Debug, Error)]
pub enum EncodeAudioError {
    /// The encoder cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The encoder takes pictures that cannot be made.
    #[error("the encoder's pictures: {0}")]
    Mel(#[from] MelError),
    /// The threads that read recordings cannot be made.
    #[error("no threads to read recordings with: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The encoder gave something that is no number.
    #[error("{audio_file}: its encoding is not finite; the encoder's weights are to blame")]
    NotFinite {
        /// The recording.
        audio_file: String,
    },
    /// The job was interrupted.
    #[error("interrupted")]
    Interrupted,
}

/// The published encoder of recordings, with the mel that it was trained on.
pub struct AudioFileEncoder {
    network: AudioEncoder,
    mel: ImageMel,
    device: Device,
}

/// The slices of a recording as pictures, `[slice, mel, frame]`, and how many seconds it has.
struct Pictures {
    pixels: Vec<u8>,
    seconds: f64,
}

impl AudioFileEncoder {
    /// Opens the encoder's folder: `config.json` and weights.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, EncodeAudioError> {
        let (config, network) = network::open::<AudioEncoderConfig>(folder, device)?;
        let AudioEncoderConfig { x_res, y_res, .. } = config;
        // The rest is the same in the published encoder as in the published pipelines.
        let mel = ImageMel::new(&MelConfig { x_res, y_res, ..MelConfig::default() })?;
        Ok(Self { network, mel, device: device.clone() })
    }

    /// Cuts a recording into slices, those with nothing in them included: so the published encoder averages.
    fn pictures(&self, path: &Path) -> Result<Pictures, String> {
        let (samples, seconds) = read_mono(path, self.mel.config().sample_rate)?;
        let picture = |index| self.mel.image(&self.mel.slice(&samples, index), Reference::SliceMaximum).pixels;
        let pictures: Vec<Vec<u8>> = (0..self.mel.slices(samples.len())).into_par_iter().map(picture).collect();
        Ok(Pictures { pixels: pictures.concat(), seconds })
    }

    /// The mean encoding of slices: one vector.
    fn encode(&self, pixels: &[u8]) -> Encoding {
        let MelConfig { x_res, y_res, .. } = *self.mel.config();
        let (mut sums, mut slices) = (Vec::new(), 0);
        for pixels in pixels.chunks(SLICES * y_res * x_res) {
            let count = pixels.len() / (y_res * x_res);
            let values: Vec<f32> = pixels.iter().map(|pixel| f32::from(*pixel) / 255.0).collect();
            let values = TensorData::new(values, [count, 1, y_res, x_res]);
            let encodings = self.network.forward(Tensor::from_data(values, &self.device));
            let width = encodings.dims()[1];
            sums.resize(width, 0.0);
            for (index, value) in encodings.into_data().iter::<f32>().enumerate() {
                sums[index % width] += f64::from(value);
            }
            slices += count;
        }
        let values: Vec<f32> = sums.iter().map(|sum| (sum / slices as f64) as f32).collect();
        Encoding { tokens: 1, dim: values.len(), values: values.into() }
    }
}

/// A file to be encoded, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Where it is.
    pub path: PathBuf,
    /// The id of its encoding.
    pub audio_file: String,
}

/// What came of recordings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// The encodings, by the names of the recordings.
    pub encodings: BTreeMap<String, Encoding>,
    /// The recordings that cannot be used, in their order.
    pub skipped: Vec<Skipped>,
    /// Seconds of audio in those that can.
    pub seconds: f64,
}

/// Encodes recordings: each the mean of its slices, as the published encoder does. Files are read in parallel, a few of them
/// at a time; they go through the network one after the other. `on_recording` is told how many are done.
pub fn encode_recordings(
    encoder: &AudioFileEncoder,
    recordings: &[Recording],
    stop: &AtomicBool,
    mut on_recording: impl FnMut(usize),
) -> Result<Encoded, EncodeAudioError> {
    let pool = rayon::ThreadPoolBuilder::new().build()?;
    let read = |index: usize| {
        // A decoder that panics on a damaged file costs that file, not the job.
        let pictures = catch_unwind(AssertUnwindSafe(|| encoder.pictures(&recordings[index].path)));
        pictures.unwrap_or_else(|panic| Err(panic_message(panic.as_ref())))
    };
    let mut encoded = Encoded::default();
    ordered(&pool, recordings.len(), pool.current_num_threads() + 2, read, |index, pictures| {
        if stop.load(Ordering::Relaxed) {
            return Err(EncodeAudioError::Interrupted);
        }
        let audio_file = recordings[index].audio_file.clone();
        match pictures {
            Ok(Pictures { pixels, seconds }) => {
                let encoding = encoder.encode(&pixels);
                if encoding.values.iter().any(|value| !value.is_finite()) {
                    return Err(EncodeAudioError::NotFinite { audio_file });
                }
                encoded.encodings.insert(audio_file, encoding);
                encoded.seconds += seconds;
            }
            Err(reason) => encoded.skipped.push(Skipped::new(audio_file, &reason)),
        }
        on_recording(index + 1);
        Ok(())
    })?;
    Ok(encoded)
}
