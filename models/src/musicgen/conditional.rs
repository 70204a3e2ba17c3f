use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::config::{MELODY_DECODER, MUSICGEN_DECODER};
use super::decoding::together;
use super::{Condition, Decoding, MusicgenDecoderConfig, MusicgenForCausalLm};
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::encodec::{Encodec, EncodecConfig, NormType, deinterleave};
use crate::network::{ConfigError, NetworkConfig, check, one_of};
use crate::ops::{Narrow, linear};
use crate::t5::{T5Config, T5Encoder};

/// `config.json` of a MusicGen folder: the configurations of its three networks, and of what hears melodies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MusicgenConfig {
    /// `musicgen`, or `musicgen_melody`.
    #[serde(default = "musicgen")]
    pub model_type: String,
    /// Of captions.
    pub text_encoder: T5Config,
    /// Of waveforms.
    pub audio_encoder: EncodecConfig,
    /// The language model.
    pub decoder: MusicgenDecoderConfig,
    /// Pitch classes of a melody, where one is heard: 12 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_chroma: Option<usize>,
    /// Frames of a melody as it goes before the codes: 235 unless given, thirty seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chroma_length: Option<usize>,
}

/// What a model hears of a melody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MelodySize {
    /// How many pitch classes.
    pub classes: usize,
    /// How many frames.
    pub frames: usize,
}

/// Which model it is.
pub(super) const MUSICGEN: &str = "musicgen";
pub(super) const MELODY: &str = "musicgen_melody";

fn musicgen() -> String {
    MUSICGEN.to_owned()
}

impl MusicgenConfig {
    /// What it hears of melodies, where it does.
    pub fn melody(&self) -> Option<MelodySize> {
        let size = MelodySize { classes: self.num_chroma.unwrap_or(12), frames: self.chroma_length.unwrap_or(235) };
        (self.model_type == MELODY).then_some(size)
    }
}

/// The whole of MusicGen: `MusicgenForConditionalGeneration` or `MusicgenMelodyForConditionalGeneration` of transformers, key for
/// key.
#[derive(Module, Debug)]
pub struct Musicgen {
    /// Encodes captions.
    pub text_encoder: T5Encoder,
    /// From waveforms to codes and back.
    pub audio_encoder: Encodec,
    /// Makes codes.
    pub decoder: MusicgenForCausalLm,
    /// From the captions' width to the language model's, where they differ.
    pub enc_to_dec_proj: Option<Linear>,
    /// From pitch classes to the language model's width, where it hears a melody.
    pub audio_enc_to_dec_proj: Option<Linear>,
}

/// What becomes of tokens that only fill a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// They are hidden, as in transformers: an item is the same alone and in company. Of captions that go before the codes
    /// transformers hides none; here they are hidden as well.
    #[default]
    Hidden,
    /// They are attended to as zeros, as in audiocraft: an item depends on the longest caption of its batch.
    Attended,
}

impl Musicgen {
    /// The same with the weights of the language model in fewer bytes: see [`MusicgenForCausalLm::narrowed`].
    #[must_use]
    pub fn narrowed(self, narrow: Option<Narrow>) -> Self {
        Self { decoder: self.decoder.narrowed(narrow), ..self }
    }

    /// What captions ask for; `lengths` are their tokens, 0 for an absent caption.
    ///
    /// # Shapes
    ///
    /// encodings `[batch, token, caption width]`, lengths `[batch]`
    ///
    /// # Panics
    ///
    /// As [`MusicgenForCausalLm::condition`].
    pub fn condition(&self, encodings: Tensor<3>, lengths: &[usize], padding: Padding) -> Condition {
        let [_, tokens, _] = encodings.dims();
        let device = encodings.device();
        let states = self.caption(encodings, lengths);
        let filled = lengths.iter().any(|length| *length < tokens);
        let hidden = || by_token(lengths, tokens, [0.0, f32::NEG_INFINITY], &device);
        self.decoder.condition(&states, (filled && padding == Padding::Hidden).then(hidden))
    }

    /// Encodings at the language model's width, zeros for the tokens that are none.
    ///
    /// # Shapes
    ///
    /// `[batch, token, caption width]`, lengths `[batch]` → `[batch, token, width]`
    pub fn caption(&self, encodings: Tensor<3>, lengths: &[usize]) -> Tensor<3> {
        let ([_, tokens, _], device) = (encodings.dims(), encodings.device());
        let states = match &self.enc_to_dec_proj {
            Some(layer) => linear(layer, encodings),
            None => encodings,
        };
        // Behind the projection, whose bias is no part of an absent token.
        states * by_token(lengths, tokens, [1.0, 0.0], &device).unsqueeze_dim::<3>(2)
    }

    /// The music of codes.
    ///
    /// # Shapes
    ///
    /// `[batch, codebook, frame]` → `[batch, channel, sample]`
    ///
    /// # Panics
    ///
    /// If there are other codebooks than the model's, or a code that it has not.
    pub fn decode(&self, codes: Tensor<3, Int>) -> Tensor<3> {
        let channels = codes.dims()[1] / self.audio_encoder.quantizer.layers.len();
        let codes = if channels == 1 { codes } else { deinterleave(codes) };
        together(self.audio_encoder.decode_codes(codes), channels)
    }

    /// Begins to decode codes that are still being made.
    pub fn decoding(&self) -> Decoding<'_> {
        Decoding::new(&self.audio_encoder)
    }
}

/// A value for the tokens of each item, and one for those behind them.
///
/// # Shapes
///
/// `[batch, token]`
fn by_token(lengths: &[usize], tokens: usize, [inside, outside]: [f32; 2], device: &Device) -> Tensor<2> {
    let values = lengths.iter().flat_map(|length| (0..tokens).map(move |token| token < *length));
    let values: Vec<f32> = values.map(|within| if within { inside } else { outside }).collect();
    Tensor::from_data(TensorData::new(values, [lengths.len(), tokens]), device)
}

/// The parts by the names that their keys begin with.
const TEXT: &str = "text_encoder.";
const AUDIO: &str = "audio_encoder.";
const DECODER: &str = "decoder.";
/// The captions' embedding, where it was saved untied.
const UNTIED: &str = "text_encoder.encoder.embed_tokens.weight";

impl NetworkConfig for MusicgenConfig {
    type Network = Musicgen;

    const WEIGHTS: &'static str = "model.safetensors";

    fn validate(&self) -> Result<(), ConfigError> {
        one_of("model_type", &self.model_type, &[MUSICGEN, MELODY])?;
        self.text_encoder.validate()?;
        self.audio_encoder.validate()?;
        self.decoder.validate()?;
        let codec = &self.audio_encoder;
        check(
            "audio_encoder.audio_channels",
            codec.audio_channels == 1,
            codec.audio_channels,
            "1: it hears one at a time",
        )?;
        let whole = codec.segments().is_none();
        check("audio_encoder.chunk_length_s", whole, "a number", "null: waveforms are not cut")?;
        let alike = codec.norm_type == NormType::WeightNorm;
        check("audio_encoder.norm_type", alike, "time_group_norm", "weight_norm: music is decoded while it is made")?;
        let (found, books) = (self.decoder.num_codebooks, codec.num_quantizers() * self.decoder.audio_channels);
        check("decoder.num_codebooks", found == books, found, format!("{books}, as audio_encoder has"))?;
        let (found, size) = (self.decoder.vocab_size, codec.codebook_size);
        check("decoder.vocab_size", found == size, found, format!("{size}, as audio_encoder.codebook_size"))?;
        let kind = if self.model_type == MELODY { MELODY_DECODER } else { MUSICGEN_DECODER };
        one_of("decoder.model_type", &self.decoder.model_type, &[kind])?;
        let Some(MelodySize { classes, frames }) = self.melody() else { return Ok(()) };
        // Far above any melody, so that no product of sizes overflows.
        check("num_chroma", (1..=1024).contains(&classes), classes, "1 to 1024")?;
        check("chroma_length", (1..=65_536).contains(&frames), frames, "1 to 65536")?;
        // transformers has no projection there, audiocraft always has one.
        check("num_chroma", classes != self.decoder.hidden_size, classes, "another number than decoder.hidden_size")
    }

    fn build(&self, device: &Device) -> Musicgen {
        let (text, width) = (self.text_encoder.d_model, self.decoder.hidden_size);
        Musicgen {
            text_encoder: self.text_encoder.build(device),
            audio_encoder: self.audio_encoder.build(device),
            decoder: self.decoder.build(device),
            enc_to_dec_proj: (text != width).then(|| LinearConfig::new(text, width).init(device)),
            audio_enc_to_dec_proj: self.melody().map(|melody| LinearConfig::new(melody.classes, width).init(device)),
        }
    }

    fn current_name(&self, published: &str) -> Option<String> {
        let within = |part: &str, name: Option<String>| name.map(|name| format!("{part}{name}"));
        if let Some(name) = published.strip_prefix(TEXT) {
            within(TEXT, self.text_encoder.current_name(name))
        } else if let Some(name) = published.strip_prefix(AUDIO) {
            within(AUDIO, self.audio_encoder.current_name(name))
        } else if let Some(name) = published.strip_prefix(DECODER) {
            within(DECODER, self.decoder.current_name(name))
        } else {
            Some(published.to_owned())
        }
    }

    fn fill(&self, network: Musicgen, from: Checkpoint) -> Result<Musicgen, CheckpointError> {
        checkpoint::load(network, &self.named(from)?)
    }
}

/// What music is made with once captions are encoded.
#[derive(Module, Debug)]
struct AllButTextEncoder {
    audio_encoder: Encodec,
    decoder: MusicgenForCausalLm,
    enc_to_dec_proj: Option<Linear>,
    audio_enc_to_dec_proj: Option<Linear>,
}

impl MusicgenConfig {
    /// The text encoder of a checkpoint of the whole, alone.
    ///
    /// # Errors
    ///
    /// As [`NetworkConfig::load`].
    pub fn load_text_encoder(&self, from: Checkpoint, device: &Device) -> Result<T5Encoder, CheckpointError> {
        let from = self.named(from)?.rename(|name| name.strip_prefix(TEXT).map(str::to_owned))?;
        checkpoint::load(self.text_encoder.build(device), &from)
    }

    /// As [`NetworkConfig::fill`], but the text encoder stays without values: for captions that are encoded before, so that
    /// not all networks are in memory at once.
    ///
    /// # Errors
    ///
    /// As [`NetworkConfig::load`].
    pub fn fill_all_but_text_encoder(&self, network: Musicgen, from: Checkpoint) -> Result<Musicgen, CheckpointError> {
        let from = self.named(from)?.rename(|name| (!name.starts_with(TEXT)).then(|| name.to_owned()))?;
        let Musicgen { text_encoder, audio_encoder, decoder, enc_to_dec_proj, audio_enc_to_dec_proj } = network;
        let rest = AllButTextEncoder { audio_encoder, decoder, enc_to_dec_proj, audio_enc_to_dec_proj };
        let AllButTextEncoder { audio_encoder, decoder, enc_to_dec_proj, audio_enc_to_dec_proj } =
            checkpoint::load(rest, &from)?;
        Ok(Musicgen { text_encoder, audio_encoder, decoder, enc_to_dec_proj, audio_enc_to_dec_proj })
    }

    /// A checkpoint with our names.
    fn named(&self, from: Checkpoint) -> Result<Checkpoint, CheckpointError> {
        let tied = from.shape("text_encoder.shared.weight").is_some();
        let from = from.rename(|name| match name {
            UNTIED if !tied => Some("text_encoder.shared.weight".to_owned()),
            name => self.current_name(name),
        })?;
        from.fold_weight_norm()
    }
}
