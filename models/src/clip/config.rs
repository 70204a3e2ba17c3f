use serde::{Deserialize, Serialize};

use super::layer::EncoderSettings;
use crate::network::{ConfigError, check, one_of};

/// `config.json` of a folder of transformers' `CLIPModel`, as far as it matters here, with its names and defaults: those of
/// ViT-B/32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    /// The text transformer.
    pub text_config: ClipTextConfig,
    /// The vision transformer.
    pub vision_config: ClipVisionConfig,
    /// Width of the common space.
    pub projection_dim: usize,
}

/// The vision transformer, `vision_config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipVisionConfig {
    /// Width of the tokens.
    pub hidden_size: usize,
    /// Width between the two layers of a feed-forward network.
    pub intermediate_size: usize,
    /// Width of the common space; of a whole CLIP, [`ClipConfig::projection_dim`] says it.
    pub projection_dim: usize,
    /// How many layers.
    pub num_hidden_layers: usize,
    /// Heads of each.
    pub num_attention_heads: usize,
    /// Always 3.
    pub num_channels: usize,
    /// Side of the pictures.
    pub image_size: usize,
    /// Side of the patch that becomes a token.
    pub patch_size: usize,
    /// `quick_gelu` or `gelu`.
    pub hidden_act: String,
    /// Added to the variances.
    pub layer_norm_eps: f64,
}

/// The text transformer, `text_config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipTextConfig {
    /// Rows of the embedding; at least as many as the tokenizer has tokens.
    pub vocab_size: usize,
    /// Width of the tokens.
    pub hidden_size: usize,
    /// Width between the two layers of a feed-forward network.
    pub intermediate_size: usize,
    /// Width of the common space; of a whole CLIP, [`ClipConfig::projection_dim`] says it.
    pub projection_dim: usize,
    /// How many layers.
    pub num_hidden_layers: usize,
    /// Heads of each.
    pub num_attention_heads: usize,
    /// Tokens of the longest text.
    pub max_position_embeddings: usize,
    /// `quick_gelu` or `gelu`.
    pub hidden_act: String,
    /// Added to the variances.
    pub layer_norm_eps: f64,
    /// The id of the token at a text's end. Where it is 2, as configurations had it until 2023, the largest id is at the end.
    pub eos_token_id: u32,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self { text_config: ClipTextConfig::default(), vision_config: ClipVisionConfig::default(), projection_dim: 512 }
    }
}

impl Default for ClipVisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
        }
    }
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
            eos_token_id: 49_407,
        }
    }
}

impl ClipConfig {
    /// Checks every field.
    ///
    /// # Errors
    ///
    /// The first field with a value that is not supported or at odds with another.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_common()?;
        self.vision_config.validate()?;
        self.text_config.validate()
    }

    /// Checks what is of neither half.
    pub(super) fn validate_common(&self) -> Result<(), ConfigError> {
        size("projection_dim", self.projection_dim)
    }
}

impl ClipVisionConfig {
    /// Tokens of a picture.
    pub(super) fn tokens(&self) -> usize {
        (self.image_size / self.patch_size).pow(2) + 1
    }

    pub(super) fn encoder(&self) -> EncoderSettings {
        EncoderSettings {
            layers: self.num_hidden_layers,
            width: self.hidden_size,
            heads: self.num_attention_heads,
            inner: self.intermediate_size,
            causal: false,
            quick_gelu: self.hidden_act == QUICK,
            epsilon: self.layer_norm_eps,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        one_of("hidden_act", &self.hidden_act, &[QUICK, EXACT])?;
        check("num_channels", self.num_channels == 3, self.num_channels, "3")?;
        size("image_size", self.image_size)?;
        let (side, patch) = (self.image_size, self.patch_size);
        check("patch_size", (1..=side).contains(&patch), patch, format!("1 to image_size, {side}"))?;
        validate_encoder(self.encoder())
    }
}

impl ClipTextConfig {
    /// The `eos_token_id` of older configurations, and of files without.
    pub(super) const LARGEST: u32 = 2;

    pub(super) fn encoder(&self) -> EncoderSettings {
        EncoderSettings {
            layers: self.num_hidden_layers,
            width: self.hidden_size,
            heads: self.num_attention_heads,
            inner: self.intermediate_size,
            causal: true,
            quick_gelu: self.hidden_act == QUICK,
            epsilon: self.layer_norm_eps,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        const MOST_TOKENS: usize = 1 << 20;
        one_of("hidden_act", &self.hidden_act, &[QUICK, EXACT])?;
        let tokens = self.vocab_size;
        check("vocab_size", (1..=MOST_TOKENS).contains(&tokens), tokens, format!("1 to {MOST_TOKENS}"))?;
        size("max_position_embeddings", self.max_position_embeddings)?;
        validate_encoder(self.encoder())
    }
}

/// The GELU that a sigmoid approximates.
const QUICK: &str = "quick_gelu";
/// GELU itself.
const EXACT: &str = "gelu";

fn validate_encoder(settings: EncoderSettings) -> Result<(), ConfigError> {
    const MOST_LAYERS: usize = 1 << 10;
    let EncoderSettings { layers, width, heads, inner, epsilon, .. } = settings;
    check("num_hidden_layers", (1..=MOST_LAYERS).contains(&layers), layers, format!("1 to {MOST_LAYERS}"))?;
    size("hidden_size", width)?;
    size("intermediate_size", inner)?;
    let even = heads > 0 && width.is_multiple_of(heads);
    check("num_attention_heads", even, heads, format!("a divisor of {width}"))?;
    check("layer_norm_eps", epsilon > 0.0, epsilon, "a positive number")
}

/// Bounds far above any network, so that no product of sizes overflows.
fn size(field: &'static str, value: usize) -> Result<(), ConfigError> {
    const MOST: usize = 1 << 14;
    check(field, (1..=MOST).contains(&value), value, format!("1 to {MOST}"))
}
