use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use nocturne_models::encodec;
use nocturne_models::musicgen::{Audiocraft, Conditioning, Musicgen, MusicgenConfig, NO_MELODY, Padding};
use nocturne_models::network::{self, NetworkError};
use nocturne_models::t5::T5Config;
use nocturne_vocoder::audio::Audio;
use thiserror::Error;

use super::melody::{Melody, Window};
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
    /// A text encoder for a model that has its own.
    #[error("`{}` has a text encoder of its own: no other can be named", folder.display())]
    TextEncoder {
        /// The model.
        folder: PathBuf,
    },
}

/// Captions as the text encoder has them, and where each ends; 0 for an absent one.
pub(super) struct Captions {
    encodings: Tensor<3>,
    lengths: Vec<usize>,
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
    /// `compression_state_dict.bin`. The latter only names its text encoder, whose folder or name on the hub can be given.
    pub fn open(folder: &Path, text_encoder: Option<&str>, device: &Device) -> Result<Self, OpenError> {
        let device = device.clone();
        if is_audiocraft(folder) {
            let model = Audiocraft::open(&folder.join(Audiocraft::FILE))?;
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
        let (config, network) = network::open::<MusicgenConfig>(folder, &device)?;
        let text = TextEncoder::of(folder, None, &config.text_encoder, network.text_encoder.clone())?;
        let text_folder = folder.to_owned();
        Ok(Self { config, network, padding: Padding::Hidden, window: WINDOW, text_folder, text, device })
    }

    /// Frames of so many seconds, at least one.
    pub fn frames(&self, seconds: f64) -> usize {
        ((seconds * self.config.audio_encoder.frame_rate() as f64).round() as usize).max(1)
    }

    /// The encodings of captions, and which of them were cut. An empty caption asks for nothing, as in audiocraft.
    pub(super) fn captions(&self, texts: &[&str]) -> Result<(Captions, Vec<bool>), TextError> {
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
        Ok((Captions { encodings, lengths: lengths.collect() }, cut))
    }

    /// What the window of a piece that begins at the frame `start` is to be like: as the captions say, and, where the model hears
    /// melodies, as that part of the melody goes.
    pub(super) fn condition(
        &self,
        Captions { encodings, lengths }: &Captions,
        melody: Option<&Melody>,
        window: Window,
        padding: Padding,
    ) -> Box<dyn Conditioning> {
        let Some(size) = self.config.melody() else {
            return Box::new(self.network.condition(encodings.clone(), lengths, padding));
        };
        let classes = melody.map_or_else(|| vec![NO_MELODY; size.frames], |melody| melody.classes(size.frames, window));
        let melodies = vec![classes; lengths.len()];
        Box::new(self.network.prefix(&melodies, encodings.clone(), lengths, padding))
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
