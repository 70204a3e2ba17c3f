//! The configuration of audiocraft's language models, in which every part has a section of its own.

use super::config::{MELODY_DECODER, MUSICGEN_DECODER};
use super::{DelayPattern, MelodySize, MusicgenDecoderConfig, chroma_stem};
use crate::checkpoint::OmegaConf;
use crate::network::{ConfigError, check};

/// What `xp.cfg` says of a model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Description {
    pub decoder: MusicgenDecoderConfig,
    /// The name of the T5 that encodes captions.
    pub text_encoder: String,
    /// In Hz.
    pub sample_rate: u32,
    /// Seconds that it was trained on.
    pub segment_duration: f64,
    /// What it hears of melodies, where it does.
    pub melody: Option<MelodySize>,
}

/// What every published model has, and this crate computes; audiocraft takes something else where it is absent.
const STATED: [(&str, &str); 9] = [
    ("lm_model", "transformer_lm"),
    ("transformer_lm.norm_first", "true"),
    ("transformer_lm.bias_ff", "false"),
    ("transformer_lm.bias_attn", "false"),
    ("transformer_lm.bias_proj", "false"),
    ("transformer_lm.activation", "gelu"),
    ("transformer_lm.causal", "true"),
    ("codebooks_pattern.modeling", "delay"),
    ("conditioners.description.model", "t5"),
];

/// The same, of what older files may lack.
const KNOWN: [(&str, &str); 14] = [
    ("transformer_lm.positional_embedding", "sin"),
    ("transformer_lm.norm", "layer_norm"),
    ("transformer_lm.layer_scale", "null"),
    ("transformer_lm.past_context", "null"),
    ("transformer_lm.qk_layer_norm", "false"),
    ("transformer_lm.qk_layer_norm_cross", "false"),
    ("transformer_lm.kv_repeat", "1"),
    ("transformer_lm.q_modeling", "null"),
    ("codebooks_pattern.delay.flatten_first", "0"),
    ("codebooks_pattern.delay.empty_initial", "0"),
    ("interleave_stereo_codebooks.per_timestep", "false"),
    ("fuser.cross_attention_pos_emb", "false"),
    ("conditioners.description.t5.finetune", "false"),
    ("conditioners.description.t5.normalize_text", "false"),
];

/// What says how large the language model is.
const SIZES: [&str; 6] = ["dim", "num_heads", "num_layers", "hidden_scale", "n_q", "card"];

/// What does not change its results.
const TRAINING: [&str; 13] = [
    "dropout",
    "attention_dropout",
    "emb_lr",
    "custom",
    "memory_efficient",
    "attention_as_float32",
    "xpos",
    "checkpointing",
    "weight_init",
    "depthwise_init",
    "zero_bias_init",
    "cross_attention",
    "two_step_cfg",
];

/// # Errors
///
/// The first value that is missing, or has no counterpart here.
pub(super) fn read(of: &OmegaConf) -> Result<Description, ConfigError> {
    for (field, known) in STATED {
        of.chosen(field, &[(known, ())])?;
    }
    for (field, known) in KNOWN {
        of.known(field, known)?;
    }
    let settings = STATED.iter().chain(&KNOWN).filter_map(|(field, _)| field.strip_prefix("transformer_lm."));
    let settings: Vec<&str> = settings.chain(SIZES).chain(TRAINING).collect();
    if let Some(other) = of.names("transformer_lm").into_iter().find(|name| !settings.contains(name)) {
        check("transformer_lm", false, other, "no setting but those of published models")?;
    }
    let width: usize = of.number("transformer_lm.dim")?;
    let stereo = of.get("interleave_stereo_codebooks.use").is_some() && of.flag("interleave_stereo_codebooks.use")?;
    let segment_duration: f64 = of.number("dataset.segment_duration")?;
    let usable = (1.0..=3600.0).contains(&segment_duration);
    check("dataset.segment_duration", usable, segment_duration, "1 to 3600 s")?;
    let melody = chroma_stem::read(of, segment_duration)?;
    conditions(of, melody.is_some())?;
    let decoder = MusicgenDecoderConfig {
        model_type: melody.map_or(MUSICGEN_DECODER, |_| MELODY_DECODER).to_owned(),
        vocab_size: of.number("transformer_lm.card")?,
        num_hidden_layers: of.number("transformer_lm.num_layers")?,
        ffn_dim: (of.number::<f64>("transformer_lm.hidden_scale")? * width as f64) as usize,
        num_attention_heads: of.number("transformer_lm.num_heads")?,
        hidden_size: width,
        num_codebooks: of.number("transformer_lm.n_q")?,
        audio_channels: if stereo { 2 } else { 1 },
        ..MusicgenDecoderConfig::default()
    };
    let channels: usize = of.number("channels")?;
    check("channels", channels == decoder.audio_channels, channels, "2 with interleave_stereo_codebooks, 1 without")?;
    let delays: Vec<usize> = of.numbers("codebooks_pattern.delay.delays")?;
    // Where they are absent, each codebook lags one behind the one before it.
    let delays = if delays.is_empty() { (0..decoder.num_codebooks.min(1 << 10)).collect() } else { delays };
    let pattern = DelayPattern::new(decoder.num_codebooks.min(1 << 10), decoder.audio_channels);
    let expected = format!("{:?}", pattern.delays());
    check("codebooks_pattern.delay.delays", delays == pattern.delays(), format_args!("{delays:?}"), expected)?;
    let text_encoder = of.get("conditioners.description.t5.name").unwrap_or_default();
    check("conditioners.description.t5.name", !text_encoder.is_empty(), "nothing", "the name of a T5")?;
    let (text_encoder, sample_rate) = (text_encoder.to_owned(), of.number("sample_rate")?);
    Ok(Description { decoder, text_encoder, sample_rate, segment_duration, melody })
}

/// Refuses all conditions but a caption that is attended to, or a melody and a caption before the codes.
fn conditions(of: &OmegaConf, melody: bool) -> Result<(), ConfigError> {
    let known = |name: &&str| ["description", "args"].contains(name) || melody && *name == "self_wav";
    if let Some(other) = of.names("conditioners").into_iter().find(|name| !known(name)) {
        let model = of.get(&format!("conditioners.{other}.model")).unwrap_or("of an unknown kind");
        let expected =
            "description, or with it self_wav (chroma_stem): models of style or other conditions are not read yet";
        check("conditioners", false, format_args!("{other} ({model})"), expected)?;
    }
    let (cross, prepend) = fused(melody);
    for (field, expected) in
        [("fuser.cross", cross), ("fuser.prepend", prepend), ("fuser.sum", &[]), ("fuser.input_interpolate", &[])]
    {
        let found = of.list(field);
        check(field, found == expected, format_args!("{found:?}"), format!("{expected:?}"))?;
    }
    Ok(())
}

/// Which conditions layers attend to, and which go before the codes.
fn fused(melody: bool) -> (&'static [&'static str], &'static [&'static str]) {
    if melody { (&[], &["self_wav", "description"]) } else { (&["description"], &[]) }
}

impl MusicgenDecoderConfig {
    /// The same in audiocraft's form: what its builder of language models reads, for captions of the T5 of this name, and for
    /// melodies of so many pitch classes where it hears them.
    pub fn to_audiocraft(
        &self,
        text_encoder: &str,
        sample_rate: u32,
        segment_duration: f64,
        melody: Option<usize>,
    ) -> String {
        let entries = |list: &[usize]| list.iter().map(|entry| format!("    - {entry}\n")).collect::<Vec<_>>().concat();
        let (cross, prepend) = fused(melody.is_some());
        let names = |list: &[&str]| match list {
            [] => " []".to_owned(),
            names => names.iter().map(|name| format!("\n  - {name}")).collect::<Vec<_>>().concat(),
        };
        // The width times it is the inner width, rounded down.
        let scale = self.ffn_dim as f64 / self.hidden_size as f64;
        let exact = (scale * self.hidden_size as f64) as usize == self.ffn_dim;
        let scale = if exact { scale } else { scale.next_up() };
        format!(
            "\
device: cpu
dtype: float32
solver: musicgen
sample_rate: {sample_rate}
channels: {channels}
interleave_stereo_codebooks:
  use: {stereo}
  per_timestep: false
dataset:
  segment_duration: {segment_duration}
lm_model: transformer_lm
codebooks_pattern:
  modeling: delay
  delay:
    delays:
{delays}    flatten_first: 0
    empty_initial: 0
transformer_lm:
  dim: {width}
  num_heads: {heads}
  num_layers: {layers}
  hidden_scale: {scale}
  n_q: {books}
  card: {tokens}
  dropout: 0.0
  emb_lr: null
  activation: gelu
  norm_first: true
  bias_ff: false
  bias_attn: false
  bias_proj: false
  past_context: null
  causal: true
  custom: false
  memory_efficient: true
  attention_as_float32: false
  layer_scale: null
  positional_embedding: sin
  xpos: false
  checkpointing: none
  weight_init: gaussian
  depthwise_init: current
  zero_bias_init: true
  norm: layer_norm
  cross_attention: true
  qk_layer_norm: false
  qk_layer_norm_cross: false
  attention_dropout: null
  kv_repeat: 1
  two_step_cfg: false
classifier_free_guidance:
  training_dropout: 0.3
  inference_coef: 3.0
attribute_dropout: {{}}
fuser:
  cross_attention_pos_emb: false
  cross_attention_pos_emb_scale: 1
  sum: []
  prepend:{prepend}
  cross:{cross}
  input_interpolate: []
conditioners:
{melody}  description:
    model: t5
    t5:
      name: {text_encoder}
      finetune: false
      word_dropout: 0.3
      normalize_text: false
",
            channels = self.audio_channels,
            stereo = self.audio_channels == 2,
            delays = entries(self.delay_pattern().delays()),
            width = self.hidden_size,
            heads = self.num_attention_heads,
            layers = self.num_hidden_layers,
            books = self.num_codebooks,
            tokens = self.vocab_size,
            prepend = names(prepend),
            cross = names(cross),
            melody = melody.map_or_else(String::new, chroma_stem::section),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::checkpoint::text;

    /// Of a small model, in the form of the published ones.
    fn published() -> String {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/musicgen/audiocraft");
        text(&fixtures.join("state_dict.bin"), "xp.cfg").unwrap()
    }

    fn changed(from: &str, to: &str) -> Result<Description, ConfigError> {
        let yaml = published();
        assert!(yaml.contains(from), "{from}");
        read(&OmegaConf::parse(&yaml.replacen(from, to, 1)))
    }

    #[test]
    fn sections_are_read() {
        let found = changed("device", "device").unwrap();
        let decoder = MusicgenDecoderConfig {
            vocab_size: 32,
            num_hidden_layers: 1,
            ffn_dim: 40,
            num_attention_heads: 2,
            hidden_size: 24,
            ..MusicgenDecoderConfig::default()
        };
        let text_encoder = "t5-base".to_owned();
        let expected = Description { decoder, text_encoder, sample_rate: 8000, segment_duration: 30.0, melody: None };
        assert_eq!(found, expected);
    }

    #[test]
    fn stereo_has_both_channels_in_turns() {
        let mono = "channels: 1\n";
        let delays = "    delays:\n    - 0\n    - 1\n    - 2\n    - 3\n";
        let both = "    delays:\n    - 0\n    - 0\n    - 1\n    - 1\n    - 2\n    - 2\n    - 3\n    - 3\n";
        let stereo = |delays_of: &str| {
            let yaml = published().replacen(mono, "channels: 2\n", 1).replacen("use: false", "use: true", 1);
            read(&OmegaConf::parse(&yaml.replacen(delays, delays_of, 1).replacen("n_q: 4", "n_q: 8", 1)))
        };
        let decoder = stereo(both).unwrap().decoder;
        assert_eq!((decoder.num_codebooks, decoder.audio_channels), (8, 2));
        assert_eq!(stereo(delays).unwrap_err().field, "codebooks_pattern.delay.delays");
        assert_eq!(changed(mono, "channels: 2\n").unwrap_err().field, "channels");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for channels in [1, 2] {
            for ffn_dim in 1..300 {
                let decoder = MusicgenDecoderConfig {
                    num_codebooks: 4 * channels,
                    audio_channels: channels,
                    hidden_size: 52,
                    ffn_dim,
                    ..MusicgenDecoderConfig::default()
                };
                let written = decoder.to_audiocraft("t5-large", 16_000, 12.5, None);
                let found = read(&OmegaConf::parse(&written)).unwrap();
                let (text_encoder, melody) = ("t5-large".to_owned(), None);
                let (sample_rate, segment_duration) = (16_000, 12.5);
                assert_eq!(found, Description { decoder, text_encoder, sample_rate, segment_duration, melody });
            }
        }
    }

    #[test]
    fn what_older_files_lack_is_as_published() {
        let expected = read(&OmegaConf::parse(&published())).unwrap();
        for absent in [
            "  qk_layer_norm_cross: false\n",
            "  kv_repeat: 1\n",
            "    delays:\n    - 0\n    - 1\n    - 2\n    - 3\n",
            "interleave_stereo_codebooks:\n  use: false\n  per_timestep: false\n",
            "  two_step_cfg: false\n",
        ] {
            assert_eq!(changed(absent, "").unwrap(), expected, "{absent}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        for (from, to, field) in [
            ("lm_model: transformer_lm", "lm_model: magnet", "lm_model"),
            ("norm_first: true", "norm_first: false", "transformer_lm.norm_first"),
            ("  norm_first: true\n", "", "transformer_lm.norm_first"),
            ("bias_attn: false", "bias_attn: true", "transformer_lm.bias_attn"),
            ("activation: gelu", "activation: relu", "transformer_lm.activation"),
            ("qk_layer_norm: false", "qk_layer_norm: true", "transformer_lm.qk_layer_norm"),
            ("layer_scale: null", "layer_scale: 0.1", "transformer_lm.layer_scale"),
            ("kv_repeat: 1", "kv_repeat: 2", "transformer_lm.kv_repeat"),
            ("past_context: null", "past_context: 250", "transformer_lm.past_context"),
            ("positional_embedding: sin", "positional_embedding: rope", "transformer_lm.positional_embedding"),
            ("  kv_repeat: 1\n", "  kv_repeat: 1\n  subcodes_context: 5\n", "transformer_lm"),
            ("dim: 24", "dim: wide", "transformer_lm.dim"),
            ("  card: 32\n", "", "transformer_lm.card"),
            ("modeling: delay", "modeling: parallel", "codebooks_pattern.modeling"),
            ("    - 3\n", "    - 4\n", "codebooks_pattern.delay.delays"),
            ("flatten_first: 0", "flatten_first: 1", "codebooks_pattern.delay.flatten_first"),
            ("per_timestep: false", "per_timestep: true", "interleave_stereo_codebooks.per_timestep"),
            ("cross:\n  - description\n", "cross: []\n", "fuser.cross"),
            ("prepend: []", "prepend:\n  - description", "fuser.prepend"),
            ("cross_attention_pos_emb: false", "cross_attention_pos_emb: true", "fuser.cross_attention_pos_emb"),
            ("model: t5", "model: clap", "conditioners.description.model"),
            ("finetune: false", "finetune: true", "conditioners.description.t5.finetune"),
            ("      name: t5-base\n", "", "conditioners.description.t5.name"),
            ("segment_duration: 30", "segment_duration: .inf", "dataset.segment_duration"),
            ("sample_rate: 8000", "", "sample_rate"),
        ] {
            assert_eq!(changed(from, to).unwrap_err().field, field, "{to}");
        }
    }

    #[test]
    fn models_with_other_conditions_are_refused_by_name() {
        let style = "conditioners:\n  self_wav:\n    model: style\n    style:\n      ds_factor: 15\n";
        let error = changed("conditioners:\n", style).unwrap_err();
        assert_eq!((error.field, &*error.found), ("conditioners", "self_wav (style)"));
    }
}
