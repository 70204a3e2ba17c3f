use serde::{Deserialize, Serialize};

use super::text::ClapTextConfig;
use crate::network::{ConfigError, check, one_of};

/// `config.json` of a folder of transformers' `ClapModel`, as far as it matters here, with its names and defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClapConfig {
    /// Always `clap`.
    pub model_type: String,
    /// The audio branch.
    pub audio_config: ClapAudioConfig,
    /// The text branch.
    pub text_config: ClapTextConfig,
    /// Width of the common space.
    pub projection_dim: usize,
    /// Between the two layers of a projection; always `relu`.
    pub projection_hidden_act: String,
}

/// The audio branch, `audio_config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClapAudioConfig {
    /// Tokens along a side of a window of attention.
    pub window_size: usize,
    /// Mel bands.
    pub num_mel_bins: usize,
    /// Side of the picture that the mel is folded to.
    pub spec_size: usize,
    /// Always `gelu`.
    pub hidden_act: String,
    /// Side of the patch that becomes a token.
    pub patch_size: usize,
    /// From patch to patch; as wide as they are.
    pub patch_stride: [usize; 2],
    /// Width of the last stage.
    pub hidden_size: usize,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Heads of each stage.
    pub num_attention_heads: Vec<usize>,
    /// Always false.
    pub enable_fusion: bool,
    /// Always 1.
    pub patch_embed_input_channels: usize,
    /// Width of the first stage; each is twice as wide as the one before.
    pub patch_embeds_hidden_size: usize,
    /// Always true.
    pub enable_patch_layer_norm: bool,
    /// Always true.
    pub qkv_bias: bool,
    /// How much wider than its block a block's inner layer is.
    pub mlp_ratio: f64,
    /// Added to the variances of the blocks' norms.
    pub layer_norm_eps: f64,
}

impl Default for ClapConfig {
    fn default() -> Self {
        Self {
            model_type: "clap".to_owned(),
            audio_config: ClapAudioConfig::default(),
            text_config: ClapTextConfig::default(),
            projection_dim: 512,
            projection_hidden_act: "relu".to_owned(),
        }
    }
}

impl Default for ClapAudioConfig {
    fn default() -> Self {
        Self {
            window_size: 8,
            num_mel_bins: 64,
            spec_size: 256,
            hidden_act: "gelu".to_owned(),
            patch_size: 4,
            patch_stride: [4, 4],
            hidden_size: 768,
            depths: vec![2, 2, 6, 2],
            num_attention_heads: vec![4, 8, 16, 32],
            enable_fusion: false,
            patch_embed_input_channels: 1,
            patch_embeds_hidden_size: 96,
            enable_patch_layer_norm: true,
            qkv_bias: true,
            mlp_ratio: 4.0,
            layer_norm_eps: 1e-5,
        }
    }
}

impl ClapConfig {
    /// Checks every field.
    ///
    /// # Errors
    ///
    /// The first field with a value that is not supported or at odds with another.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_common()?;
        self.audio_config.validate()?;
        self.text_config.validate()
    }

    /// Checks what is of no branch.
    pub(super) fn validate_common(&self) -> Result<(), ConfigError> {
        one_of("model_type", &self.model_type, &["clap"])?;
        one_of("projection_hidden_act", &self.projection_hidden_act, &["relu"])?;
        size("projection_dim", self.projection_dim)
    }
}

impl ClapAudioConfig {
    /// Frames that a mel is stretched to.
    pub fn frames(&self) -> usize {
        self.spec_size * self.folds()
    }

    /// Parts of the mel, one after the other in time, that lie upon one another in the picture.
    pub(super) fn folds(&self) -> usize {
        self.spec_size / self.num_mel_bins
    }

    /// Tokens along a side of a stage.
    pub(super) fn side(&self, stage: usize) -> usize {
        (self.spec_size / self.patch_size) >> stage
    }

    pub(super) fn width(&self, stage: usize) -> usize {
        self.patch_embeds_hidden_size << stage
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        one_of("hidden_act", &self.hidden_act, &["gelu"])?;
        check("enable_fusion", !self.enable_fusion, self.enable_fusion, "false")?;
        let channels = self.patch_embed_input_channels;
        check("patch_embed_input_channels", channels == 1, channels, "1")?;
        check("enable_patch_layer_norm", self.enable_patch_layer_norm, self.enable_patch_layer_norm, "true")?;
        check("qkv_bias", self.qkv_bias, self.qkv_bias, "true")?;
        for (field, value) in [
            ("window_size", self.window_size),
            ("num_mel_bins", self.num_mel_bins),
            ("spec_size", self.spec_size),
            ("patch_size", self.patch_size),
            ("patch_embeds_hidden_size", self.patch_embeds_hidden_size),
        ] {
            size(field, value)?;
        }
        let (bands, picture, patch) = (self.num_mel_bins, self.spec_size, self.patch_size);
        let whole = picture.is_multiple_of(bands);
        check("num_mel_bins", whole, bands, format!("a divisor of spec_size, {picture}"))?;
        check("patch_size", picture.is_multiple_of(patch), patch, format!("a divisor of spec_size, {picture}"))?;
        let stride = self.patch_stride;
        check("patch_stride", stride == [patch; 2], format_args!("{stride:?}"), format!("[{patch}, {patch}]"))?;
        check("mlp_ratio", (1.0 / 64.0..=64.0).contains(&self.mlp_ratio), self.mlp_ratio, "1/64 to 64")?;
        check("layer_norm_eps", self.layer_norm_eps > 0.0, self.layer_norm_eps, "a positive number")?;
        self.validate_stages()
    }

    fn validate_stages(&self) -> Result<(), ConfigError> {
        let stages = self.depths.len();
        check("depths", (1..=6).contains(&stages), format_args!("{stages} stages"), "1 to 6 stages")?;
        let heads = self.num_attention_heads.len();
        check("num_attention_heads", heads == stages, format_args!("{heads} stages"), format!("{stages} stages"))?;
        for (stage, (depth, heads)) in self.depths.iter().zip(&self.num_attention_heads).enumerate() {
            check("depths", (1..=256).contains(depth), depth, "1 to 256")?;
            let width = self.width(stage);
            let even = *heads > 0 && width.is_multiple_of(*heads);
            check("num_attention_heads", even, heads, format!("a divisor of {width}"))?;
            // The sides of all stages: whole windows, and pairs of tokens to merge between two stages.
            let side = self.spec_size / self.patch_size;
            let fits = side.is_multiple_of(self.window_size << stage);
            check("window_size", fits, self.window_size, format!("a divisor of {side} / 2^{stage}"))?;
        }
        let last = self.width(stages - 1);
        check("hidden_size", self.hidden_size == last, self.hidden_size, format!("{last}, as the last stage"))
    }
}

/// Bounds far above any network, so that no product of sizes overflows.
fn size(field: &'static str, value: usize) -> Result<(), ConfigError> {
    const MOST: usize = 1 << 14;
    check(field, (1..=MOST).contains(&value), value, format!("1 to {MOST}"))
}
