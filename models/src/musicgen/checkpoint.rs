//! audiocraft's files.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::audiocraft::{self, Description};
use super::chroma_stem::{self, WINDOW};
use super::conditional::{MELODY, MUSICGEN};
use super::{Musicgen, MusicgenConfig, MusicgenForCausalLm};
use crate::checkpoint::{self, Checkpoint, CheckpointError, Named, OmegaConf, text};
use crate::encodec::{Encodec, EncodecConfig};
use crate::network::{NetworkConfig, NetworkError, check};
use crate::ops::Narrow;
use crate::t5::{T5Config, T5Encoder};

/// A language model as audiocraft's `export_lm` writes it: a `state_dict.bin` that only names its text encoder, and lies beside a
/// `compression_state_dict.bin`, which [`encodec::open`](crate::encodec::open) opens.
#[derive(Clone, Debug)]
pub struct Audiocraft {
    file: PathBuf,
    weights: Checkpoint,
    description: Description,
    narrow: Option<Narrow>,
}

/// What an audiocraft file has of [`Musicgen`], by the same names.
#[derive(Module, Debug)]
struct LanguageModel {
    decoder: MusicgenForCausalLm,
    enc_to_dec_proj: Linear,
    audio_enc_to_dec_proj: Option<Linear>,
}

impl Audiocraft {
    /// What audiocraft calls its file.
    pub const FILE: &str = "state_dict.bin";

    /// Reads what a file describes; its tensors are read by [`Audiocraft::load`].
    ///
    /// # Errors
    ///
    /// Names the file, and in it the field, that is missing, not as it should be, or of a model of another kind.
    pub fn open(file: &Path) -> Result<Self, NetworkError> {
        let weights = Checkpoint::open(file)?.best_state()?;
        let Some(yaml) = text(file, "xp.cfg") else {
            let (file, field) = (file.to_owned(), "xp.cfg".to_owned());
            let (found, expected) = ("no text".to_owned(), "YAML, as audiocraft's export_lm writes it".to_owned());
            return Err(CheckpointError::Format { file, field, found, expected }.into());
        };
        Self::of(file, weights, &OmegaConf::parse(&yaml))
    }

    /// The same of a file whose description stands elsewhere, or in another form: the state of a training.
    ///
    /// # Errors
    ///
    /// As [`Audiocraft::open`].
    pub fn described(file: &Path, settings: &OmegaConf) -> Result<Self, NetworkError> {
        Self::of(file, Checkpoint::open(file)?.best_state()?, settings)
    }

    fn of(file: &Path, weights: Checkpoint, settings: &OmegaConf) -> Result<Self, NetworkError> {
        let file = file.to_owned();
        let described =
            audiocraft::read(settings).and_then(|description| description.decoder.validate().map(|()| description));
        let description = described.map_err(|source| NetworkError::Config { file: file.clone(), source })?;
        Ok(Self { file, weights, description, narrow: None })
    }

    /// The name of the T5 that the model was trained with.
    pub fn text_encoder(&self) -> &str {
        &self.description.text_encoder
    }

    /// Seconds that it was trained on.
    pub fn segment_duration(&self) -> f64 {
        self.description.segment_duration
    }

    /// The same, to be loaded in fewer bytes: see [`MusicgenForCausalLm::narrowed`].
    #[must_use]
    pub fn narrowed(self, narrow: Option<Narrow>) -> Self {
        Self { narrow, ..self }
    }

    /// The whole model.
    ///
    /// # Errors
    ///
    /// If the networks are not those that the file names, or its tensors are not those that it describes.
    pub fn load(
        self,
        (text_encoder, text): (T5Config, T5Encoder),
        (audio_encoder, audio): (EncodecConfig, Encodec),
        device: &Device,
    ) -> Result<(MusicgenConfig, Musicgen), NetworkError> {
        let Self { file, weights, description: Description { decoder, sample_rate, melody, .. }, narrow } = self;
        let config = MusicgenConfig {
            model_type: melody.map_or(MUSICGEN, |_| MELODY).to_owned(),
            text_encoder,
            audio_encoder,
            decoder,
            num_chroma: melody.map(|melody| melody.classes),
            chroma_length: melody.map(|melody| melody.frames),
        };
        let (found, rate) = (config.audio_encoder.sampling_rate, sample_rate);
        let (text_width, width) = (config.text_encoder.d_model, config.decoder.hidden_size);
        let expected = format!("{found}, as the compression model has");
        check("sample_rate", found == rate, rate, expected)
            .and_then(|()| config.validate())
            .and_then(|()| {
                // transformers has no projection there.
                let expected = "another width than that of the text encoder";
                check("transformer_lm.dim", text_width != width, width, expected)
            })
            .map_err(|source| NetworkError::Config { file, source })?;
        let empty = LanguageModel {
            decoder: config.decoder.build(device).narrowed(narrow),
            enc_to_dec_proj: LinearConfig::new(text_width, width).init(device),
            audio_enc_to_dec_proj: melody.map(|melody| LinearConfig::new(melody.classes, width).init(device)),
        };
        let known = |name: &str| (name != WINDOW).then(|| current_name(name));
        let weights = weights.rename(known)?.split("in_proj", &PARTS)?;
        let LanguageModel { decoder, enc_to_dec_proj, audio_enc_to_dec_proj } = checkpoint::load(empty, &weights)?;
        let enc_to_dec_proj = Some(enc_to_dec_proj);
        let network =
            Musicgen { text_encoder: text, audio_encoder: audio, decoder, enc_to_dec_proj, audio_enc_to_dec_proj };
        Ok((config, network))
    }
}

/// What `in_proj` is upon one another.
const PARTS: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

/// audiocraft's names and ours, of what stands once.
const NAMES: [(&str, &str); 5] = [
    ("condition_provider.conditioners.description.output_proj.", "enc_to_dec_proj."),
    ("condition_provider.conditioners.self_wav.output_proj.", "audio_enc_to_dec_proj."),
    ("emb.", "decoder.model.decoder.embed_tokens."),
    ("linears.", "decoder.lm_heads."),
    ("out_norm.", "decoder.model.decoder.layer_norm."),
];

/// And of the layers, and what is in them.
const LAYERS: (&str, &str) = ("transformer.layers.", "decoder.model.decoder.layers.");
const IN_LAYERS: [(&str, &str); 7] = [
    ("self_attn.", "self_attn."),
    ("cross_attention.", "encoder_attn."),
    ("norm1.", "self_attn_layer_norm."),
    ("norm_cross.", "encoder_attn_layer_norm."),
    ("norm2.", "final_layer_norm."),
    ("linear1.", "fc1."),
    ("linear2.", "fc2."),
];

/// Our name of a tensor of audiocraft's, the weights of an attention still in one; what it does not know keeps its name.
fn current_name(theirs: &str) -> String {
    let renamed = |name: &str, names: &[(&str, &str)]| {
        names.iter().find_map(|(theirs, ours)| Some(format!("{ours}{}", name.strip_prefix(theirs)?)))
    };
    let of_layer = || {
        let (index, rest) = theirs.strip_prefix(LAYERS.0)?.split_once('.')?;
        // Attention is PyTorch's own, one level deeper, where audiocraft was told not to use its own.
        let rest = renamed(rest, &IN_LAYERS)?.replace("_attn.mha.", "_attn.").replace(".in_proj_", ".in_proj.");
        Some(format!("{}{index}.{rest}", LAYERS.1))
    };
    of_layer().or_else(|| renamed(theirs, &NAMES)).unwrap_or_else(|| theirs.to_owned())
}

/// The inverse, for our names.
fn audiocrafts_name(ours: &str) -> String {
    let renamed = |name: &str, names: &[(&str, &str)]| {
        names.iter().find_map(|(theirs, ours)| Some(format!("{theirs}{}", name.strip_prefix(ours)?)))
    };
    let of_layer = || {
        let (index, rest) = ours.strip_prefix(LAYERS.1)?.split_once('.')?;
        Some(format!("{}{index}.{}", LAYERS.0, renamed(rest, &IN_LAYERS)?.replace(".in_proj.", ".in_proj_")))
    };
    of_layer().or_else(|| renamed(ours, &NAMES)).unwrap_or_else(|| ours.to_owned())
}

impl Musicgen {
    /// The tensors of transformers' `MusicgenForConditionalGeneration`.
    ///
    /// # Errors
    ///
    /// If the device does not give the values.
    pub fn published(&self) -> std::io::Result<Vec<Named>> {
        let within = |part: &'static str, tensors: Vec<Named>| {
            tensors.into_iter().map(move |tensor| Named { name: format!("{part}.{}", tensor.name), ..tensor })
        };
        let mut tensors: Vec<Named> = within("text_encoder", Named::all(&self.text_encoder)).collect();
        tensors.extend(within("audio_encoder", self.audio_encoder.published()?));
        tensors.extend(self.of_language_model());
        Ok(tensors)
    }

    /// The tensors of audiocraft's language model: all but the text encoder and the codec.
    pub fn published_by_audiocraft(&self) -> Vec<Named> {
        let mut tensors = self.of_language_model();
        let (first, whole) = (format!(".{}.", PARTS[0]), ".in_proj.");
        let attentions: Vec<String> =
            tensors.iter().filter(|tensor| tensor.name.contains(&first)).map(|tensor| tensor.name.clone()).collect();
        for name in attentions {
            let names = PARTS.map(|part| name.replace(&first, &format!(".{part}.")));
            let parts: Vec<Named> = names
                .iter()
                .filter_map(|name| tensors.iter().position(|tensor| tensor.name == *name))
                .map(|place| tensors[place].clone())
                .collect();
            tensors.retain(|tensor| !names.contains(&tensor.name));
            let mut shape = parts[0].shape.clone();
            shape[0] *= parts.len();
            let values = Tensor::cat(parts.into_iter().map(|part| part.values).collect(), 0);
            tensors.push(Named { name: name.replace(&first, whole), shape, values });
        }
        let window = self.audio_enc_to_dec_proj.as_ref().map(|_| chroma_stem::window());
        let renamed = tensors.into_iter().map(|tensor| Named { name: audiocrafts_name(&tensor.name), ..tensor });
        renamed.chain(window).collect()
    }

    fn of_language_model(&self) -> Vec<Named> {
        let mut tensors = Named::all(self);
        let parts = ["decoder.", "enc_to_dec_proj.", "audio_enc_to_dec_proj."];
        tensors.retain(|tensor| parts.iter().any(|part| tensor.name.starts_with(part)));
        tensors
    }
}

#[cfg(test)]
mod tests {
    use super::{audiocrafts_name, current_name};

    #[test]
    fn audiocrafts_names_become_ours() {
        for (theirs, ours) in [
            ("emb.3.weight", "decoder.model.decoder.embed_tokens.3.weight"),
            ("linears.0.weight", "decoder.lm_heads.0.weight"),
            ("out_norm.bias", "decoder.model.decoder.layer_norm.bias"),
            ("condition_provider.conditioners.description.output_proj.bias", "enc_to_dec_proj.bias"),
            ("condition_provider.conditioners.self_wav.output_proj.weight", "audio_enc_to_dec_proj.weight"),
            ("transformer.layers.11.norm_cross.bias", "decoder.model.decoder.layers.11.encoder_attn_layer_norm.bias"),
            ("transformer.layers.0.linear2.weight", "decoder.model.decoder.layers.0.fc2.weight"),
            (
                "transformer.layers.0.cross_attention.in_proj_weight",
                "decoder.model.decoder.layers.0.encoder_attn.in_proj.weight",
            ),
            (
                "transformer.layers.0.self_attn.mha.out_proj.weight",
                "decoder.model.decoder.layers.0.self_attn.out_proj.weight",
            ),
            ("transformer.layers.0.layer_scale_1.scale", "transformer.layers.0.layer_scale_1.scale"),
            (
                "condition_provider.conditioners.genre.embed.weight",
                "condition_provider.conditioners.genre.embed.weight",
            ),
        ] {
            assert_eq!(current_name(theirs), ours);
            assert_eq!(audiocrafts_name(ours), theirs.replace(".mha.", "."));
        }
    }
}
