use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::encodec;
use nocturne_models::musicgen::{
    Audiocraft, Condition, Conditioning, MelodySize, Musicgen, MusicgenConfig, NO_MELODY, Padding,
};
use nocturne_models::network::{self, NetworkConfig, NetworkError};
use nocturne_models::ops::Narrow;
use nocturne_models::t5::T5Config;
use thiserror::Error;

use super::Precision;
use super::melody::{Melody, Window};
use super::parts::{self, audiocraft, codec, is_training, text_folder};
use super::settings::WINDOW;
use super::training::{self, TrainingError};
use crate::encodings::{Encoding, TextEncoder, TextError};
use crate::hash::{self, HashError};
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
    /// The settings of a training.
    #[error(transparent)]
    Training(#[from] TrainingError),
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

/// What the language model is told of captions.
pub(super) enum Captions {
    /// Layers attend to them.
    Attended(Condition),
    /// They go before the codes, behind a melody: as the text encoder has them, and where each ends; 0 for an absent one.
    Before { encodings: Tensor<3>, lengths: Vec<usize>, melody: MelodySize },
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
    /// All that it was read from.
    files: Vec<PathBuf>,
    /// Until it takes no more captions.
    reader: Option<Reader>,
    /// Where its networks are.
    pub(super) device: Device,
}

/// What encodes captions.
enum Reader {
    Any(Box<TextEncoder>),
    /// These alone, encoded before the other networks were opened, each with whether it was cut.
    These(BTreeMap<String, (Encoding, bool)>),
}

/// Encodings of more captions than this may take more memory than the text encoder.
const MANY: usize = 1024;

impl Reader {
    fn of_these(encoder: &TextEncoder, captions: &[&str]) -> Result<Self, TextError> {
        let encode = |caption: &&str| Ok(((*caption).to_owned(), encoder.encode(caption)?));
        Ok(Self::These(captions.iter().map(encode).collect::<Result<_, TextError>>()?))
    }

    /// None for a caption that is not one of these.
    fn encode(&self, caption: &str) -> Result<Option<(Encoding, bool)>, TextError> {
        match self {
            Self::Any(encoder) => encoder.encode(caption).map(Some),
            Self::These(encoded) => Ok(encoded.get(caption).cloned()),
        }
    }
}

impl Model {
    /// Opens a folder of transformers: `config.json`, weights, `tokenizer.json`; or one of audiocraft: `state_dict.bin`, or the
    /// `checkpoint.th` of a training, and `compression_state_dict.bin`. The latter two only name their text encoder, whose folder
    /// or name on the hub can be given. A model that is held in fewer bytes than float32 is to generate with, and nothing else.
    pub fn open(
        folder: &Path,
        text_encoder: Option<&str>,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, OpenError> {
        Self::open_with(folder, text_encoder, precision, None, device)
    }

    /// The same for these captions alone: unless they are very many, they are encoded first, and the text encoder makes room for the
    /// other networks.
    pub fn open_for(
        folder: &Path,
        text_encoder: Option<&str>,
        precision: Precision,
        captions: &[&str],
        device: &Device,
    ) -> Result<Self, OpenError> {
        let these = (captions.len() <= MANY).then_some(captions);
        Self::open_with(folder, text_encoder, precision, these, device)
    }

    fn open_with(
        folder: &Path,
        text_encoder: Option<&str>,
        precision: Precision,
        these: Option<&[&str]>,
        device: &Device,
    ) -> Result<Self, OpenError> {
        let (device, narrow) = (device.clone(), precision.narrow());
        if narrow.is_some() && device != Device::flex() {
            return Err(OpenError::Precision);
        }
        if let Some(file) = audiocraft(folder) {
            return Self::of_audiocraft(&file, text_encoder, narrow, these, device);
        }
        if text_encoder.is_some() {
            return Err(OpenError::TextEncoder { folder: folder.to_owned() });
        }
        let config: MusicgenConfig = network::read_config(folder)?;
        let weights = Checkpoint::open(folder).map_err(NetworkError::from)?;
        let encoder = |text| TextEncoder::of(folder, None, &config.text_encoder, text);
        let empty = || config.build(&device).narrowed(narrow);
        let (reader, network) = if let Some(captions) = these {
            let text = config.load_text_encoder(weights.clone(), &device).map_err(NetworkError::from)?;
            let reader = Reader::of_these(&encoder(text)?, captions)?;
            (reader, config.fill_all_but_text_encoder(empty(), weights).map_err(NetworkError::from)?)
        } else {
            let network = config.fill(empty(), weights).map_err(NetworkError::from)?;
            (Reader::Any(Box::new(encoder(network.text_encoder.clone())?)), network)
        };
        let (text_folder, padding) = (folder.to_owned(), Padding::Hidden);
        let files = parts::files(folder).map_err(NetworkError::from)?;
        Ok(Self { config, network, padding, window: WINDOW, text_folder, files, reader: Some(reader), device })
    }

    fn of_audiocraft(
        file: &Path,
        text_encoder: Option<&str>,
        narrow: Option<Narrow>,
        these: Option<&[&str]>,
        device: Device,
    ) -> Result<Self, OpenError> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let settings = is_training(file).then(|| training::settings(file)).transpose()?;
        let model = match &settings {
            Some(settings) => Audiocraft::described(file, settings)?,
            None => Audiocraft::open(file)?,
        };
        let trained_with = settings.as_ref().and_then(|settings| settings.get("compression_model_checkpoint"));
        let codec_path = codec(folder, trained_with.and_then(|codec| codec.strip_prefix("//pretrained/")))?;
        let text_folder = text_folder(folder, text_encoder, model.text_encoder())?;
        let mut files = vec![file.to_owned()];
        for part in [&codec_path, &text_folder] {
            files.extend(parts::files(part).map_err(NetworkError::from)?);
        }
        let (config, mut text) = network::open::<T5Config>(&text_folder, &device)?;
        let encoder = TextEncoder::of(&text_folder, None, &config, text.clone())?;
        let reader = if let Some(captions) = these {
            text = config.build(&device);
            let reader = Reader::of_these(&encoder, captions)?;
            drop(encoder);
            reader
        } else {
            Reader::Any(Box::new(encoder))
        };
        let (window, codec) = (model.segment_duration(), encodec::open(&codec_path, &device)?);
        let (config, network) = model.narrowed(narrow).load((config, text), codec, &device)?;
        Ok(Self {
            config,
            network,
            padding: Padding::Attended,
            window,
            text_folder,
            files,
            reader: Some(reader),
            device,
        })
    }

    /// A hash of all that the model was read from. Reads it once more: of the large model a matter of seconds.
    pub(super) fn hash(&self) -> Result<String, HashError> {
        hash::of_files(&self.files)
    }

    /// Frames of so many seconds, at least one.
    pub fn frames(&self, seconds: f64) -> usize {
        ((seconds * self.config.audio_encoder.frame_rate() as f64).round() as usize).max(1)
    }

    /// What captions say, and which of them were cut; nothing if it takes no more, or was opened for others. An empty caption asks for
    /// nothing, as in audiocraft.
    pub(super) fn captions(
        &self,
        texts: &[&str],
        padding: Padding,
    ) -> Result<Option<(Captions, Vec<bool>)>, TextError> {
        let Some(reader) = &self.reader else { return Ok(None) };
        let mut encodings = Vec::with_capacity(texts.len());
        let mut cut = Vec::with_capacity(texts.len());
        for text in texts {
            let Some((encoding, truncated)) = reader.encode(text)? else { return Ok(None) };
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
        let length =
            |(text, encoding): (&&str, &Encoding)| if text.is_empty() { 0 } else { count(encoding.values.len()) };
        let lengths: Vec<usize> = texts.iter().zip(&encodings).map(length).collect();
        let encodings = Tensor::from_data(TensorData::new(values, [texts.len(), longest, width]), &self.device);
        let captions = match self.config.melody() {
            Some(melody) => Captions::Before { encodings, lengths, melody },
            None => Captions::Attended(self.network.condition(encodings, &lengths, padding)),
        };
        Ok(Some((captions, cut)))
    }

    /// Lets go of what only captions need: the text encoder, and of the language model what tells its layers of them. Together a
    /// quarter of a small model.
    pub(super) fn take_no_more_captions(&mut self) {
        self.reader = None;
        self.network.text_encoder = self.config.text_encoder.build(&self.device);
        self.network.decoder.take_no_more_conditions();
    }

    /// What a window of a piece is to be like: as the captions say, and, where the model hears melodies, as that part of the melody
    /// goes.
    pub(super) fn condition(
        &self,
        captions: &Captions,
        melody: Option<&Melody>,
        window: Window,
        padding: Padding,
    ) -> Box<dyn Conditioning> {
        match captions {
            Captions::Attended(condition) => Box::new(condition.clone()),
            Captions::Before { encodings, lengths, melody: MelodySize { frames, .. } } => {
                let heard = |melody: &Melody| melody.classes(*frames, window);
                let melodies = vec![melody.map_or_else(|| vec![NO_MELODY; *frames], heard); lengths.len()];
                Box::new(self.network.prefix(&melodies, encodings.clone(), lengths, padding))
            }
        }
    }

    /// Frames, each of all items in turn `[item · codebook]`, as `[item, codebook, frame]`.
    pub(super) fn codes(&self, frames: &[Vec<usize>], items: usize) -> Tensor<3, Int> {
        let books = self.config.decoder.num_codebooks;
        let values: Vec<i32> =
            (0..items * books).flat_map(|row| frames.iter().map(move |frame| frame[row] as i32)).collect();
        Tensor::from_data(TensorData::new(values, [items, books, frames.len()]), &self.device)
    }
}

/// What is to be heard, `[item][channel][sample]`.
pub(super) struct Samples(pub Vec<Vec<Vec<f32>>>);

impl Samples {
    pub fn of(samples: Tensor<3>) -> Self {
        let [_, channels, count] = samples.dims();
        let values: Vec<f32> = samples.into_data().convert::<f32>().try_to_vec().expect("f32, as converted");
        let item = |values: &[f32]| values.chunks_exact(count).map(<[f32]>::to_vec).collect();
        Self(values.chunks_exact(channels * count).map(item).collect())
    }
}
