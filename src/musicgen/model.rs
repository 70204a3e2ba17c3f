use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use nocturne_models::encodec;
use nocturne_models::musicgen::{Audiocraft, Condition, Musicgen, MusicgenConfig, Padding};
use nocturne_models::network::{self, NetworkError};
use nocturne_models::t5::T5Config;
use nocturne_vocoder::audio::Audio;
use thiserror::Error;

use super::Precision;
use super::parts::{codec_folder, is_audiocraft, text_folder, training};
use super::settings::WINDOW;
use crate::encodings::{TextEncoder, TextError};
use crate::hub::HubError;

/// Why a model's folder cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Configuration or weights.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The tokenizer, or what it has to do with the text encoder.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A network that it only names.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A training of audiocraft's in place of what it exports.
    #[error("`{}` is the state of a training, whose settings are pickled objects: expected the state_dict.bin that audiocraft.utils.export.export_lm makes of it", file.display())]
    Training {
        /// The state.
        file: PathBuf,
    },
    /// Weights in fewer bytes for another device than the CPU.
    #[error("weights narrower than float32 are for the CPU alone: expected f32, or the device cpu")]
    Precision,
    /// A text encoder for a model that has its own.
    #[error("`{}` has a text encoder of its own: no other can be named", folder.display())]
    TextEncoder {
        /// The model.
        folder: PathBuf,
    },
}

/// A MusicGen with its tokenizer.
pub struct Model {
    /// Its configuration.
    pub config: MusicgenConfig,
    /// Its networks.
    pub network: Musicgen,
    /// What the library that wrote it does with tokens that only fill a batch.
    pub padding: Padding,
    /// Seconds that it was trained on: what is longer is made in windows.
    pub window: f64,
    /// Where its tokenizer is.
    pub(super) text_folder: PathBuf,
    text: TextEncoder,
    device: Device,
}

impl Model {
    /// Opens a folder of transformers: `config.json`, weights, `tokenizer.json`; or one of audiocraft: `state_dict.bin`,
    /// `compression_state_dict.bin`. The latter only names its text encoder, whose folder or name on the hub can be given. One
    /// that is held in fewer bytes than float32 is to generate with, and nothing else.
    pub fn open(
        folder: &Path,
        text_encoder: Option<&str>,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, OpenError> {
        let (device, narrow) = (device.clone(), precision.narrow());
        if narrow.is_some() && device != Device::flex() {
            return Err(OpenError::Precision);
        }
        if is_audiocraft(folder) {
            let model = Audiocraft::open(&folder.join(Audiocraft::FILE))?.narrowed(narrow);
            let text_folder = text_folder(folder, text_encoder, model.text_encoder())?;
            let codec = encodec::open(&codec_folder(folder)?, &device)?;
            let window = model.segment_duration();
            let (config, network) = model.load(network::open::<T5Config>(&text_folder, &device)?, codec, &device)?;
            let text = TextEncoder::of(&text_folder, None, &config.text_encoder, network.text_encoder.clone())?;
            return Ok(Self { config, network, padding: Padding::Attended, window, text_folder, text, device });
        }
        if let Some(file) = training(folder) {
            return Err(OpenError::Training { file });
        }
        if text_encoder.is_some() {
            return Err(OpenError::TextEncoder { folder: folder.to_owned() });
        }
        let narrowed = |network: Musicgen| network.narrowed(narrow);
        let (config, network) = network::open_as::<MusicgenConfig>(folder, &device, narrowed)?;
        let text = TextEncoder::of(folder, None, &config.text_encoder, network.text_encoder.clone())?;
        let text_folder = folder.to_owned();
        Ok(Self { config, network, padding: Padding::Hidden, window: WINDOW, text_folder, text, device })
    }

    /// Frames of so many seconds, at least one.
    pub fn frames(&self, seconds: f64) -> usize {
        ((seconds * self.config.audio_encoder.frame_rate() as f64).round() as usize).max(1)
    }

    /// What captions ask for, and which of them were cut. An empty caption asks for nothing, as in audiocraft.
    pub(super) fn condition(&self, texts: &[&str], padding: Padding) -> Result<(Condition, Vec<bool>), TextError> {
        let mut encodings = Vec::with_capacity(texts.len());
        let mut cut = Vec::with_capacity(texts.len());
        for text in texts {
            let (encoding, truncated) = self.text.encode(text)?;
            encodings.push(encoding);
            cut.push(truncated);
        }
        let width = self.config.text_encoder.d_model;
        let count = |values: usize| values / width;
        let longest = encodings.iter().map(|encoding| count(encoding.values.len())).max().unwrap_or(0);
        let mut values = Vec::with_capacity(texts.len() * longest * width);
        for encoding in &encodings {
            values.extend_from_slice(&encoding.values);
            values.resize(values.len() + longest * width - encoding.values.len(), 0.0);
        }
        let lengths = texts.iter().zip(&encodings).map(
            |(text, encoding)| {
                if text.is_empty() { 0 } else { count(encoding.values.len()) }
            },
        );
        let encodings = Tensor::from_data(TensorData::new(values, [texts.len(), longest, width]), &self.device);
        Ok((self.network.condition(encodings, &lengths.collect::<Vec<_>>(), padding), cut))
    }

    /// The music of one item's codes.
    pub(super) fn audio(&self, codes: &[Vec<usize>]) -> Audio {
        let shape = [1, codes.len(), codes[0].len()];
        let values: Vec<i32> = codes.iter().flatten().map(|code| *code as i32).collect();
        let codes = Tensor::<3, Int>::from_data(TensorData::new(values, shape), &self.device);
        let samples = self.network.decode(codes);
        let [_, channels, count] = samples.dims();
        let samples: Vec<f32> = samples.into_data().convert::<f32>().try_to_vec().unwrap_or_default();
        let channels = samples.chunks_exact(count.max(1)).take(channels).map(<[f32]>::to_vec).collect();
        Audio { sample_rate: self.config.audio_encoder.sampling_rate, channels }
    }
}
