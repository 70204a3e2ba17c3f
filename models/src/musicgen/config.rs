use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{DelayPattern, MusicgenForCausalLm};
use crate::network::{ConfigError, NetworkConfig, check, one_of};

/// Which decoder it is.
pub(super) const MUSICGEN_DECODER: &str = "musicgen_decoder";
pub(super) const MELODY_DECODER: &str = "musicgen_melody_decoder";

/// `config.json` of a MusicGen decoder: the fields of transformers' `MusicgenDecoderConfig` that say what it computes, with
/// its names and defaults. Fields that it does not know are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MusicgenDecoderConfig {
    /// `musicgen_decoder`, or `musicgen_melody_decoder`: the condition goes before the codes, and no layer attends to it beside
    /// them.
    pub model_type: String,
    /// Tokens of a codebook. The one after them is special: it stands where there is no token.
    pub vocab_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Width between the two layers of a feed-forward network.
    pub ffn_dim: usize,
    /// Heads of every attention.
    pub num_attention_heads: usize,
    /// Width of the model.
    pub hidden_size: usize,
    /// `gelu`, the exact one.
    pub activation_function: String,
    /// Whether embeddings are multiplied with √width; no published model does it.
    pub scale_embedding: bool,
    /// Codebooks: 4, or 8 where `audio_channels` is 2.
    pub num_codebooks: usize,
    /// 1, or 2 with the codebooks of left and right in turns.
    pub audio_channels: usize,
}

impl Default for MusicgenDecoderConfig {
    /// That of `facebook/musicgen-small`.
    fn default() -> Self {
        Self {
            model_type: MUSICGEN_DECODER.to_owned(),
            vocab_size: 2048,
            num_hidden_layers: 24,
            ffn_dim: 4096,
            num_attention_heads: 16,
            hidden_size: 1024,
            activation_function: "gelu".to_owned(),
            scale_embedding: false,
            num_codebooks: 4,
            audio_channels: 1,
        }
    }
}

impl MusicgenDecoderConfig {
    /// The special token.
    pub fn special(&self) -> usize {
        self.vocab_size
    }

    /// Whether layers attend to the condition beside the codes.
    pub fn has_cross_attention(&self) -> bool {
        self.model_type == MUSICGEN_DECODER
    }

    /// How far each codebook lags behind the first.
    pub fn delay_pattern(&self) -> DelayPattern {
        DelayPattern::new(self.num_codebooks, self.audio_channels)
    }
}

impl NetworkConfig for MusicgenDecoderConfig {
    type Network = MusicgenForCausalLm;

    const WEIGHTS: &'static str = "model.safetensors";

    fn validate(&self) -> Result<(), ConfigError> {
        // Bounds far above any network, so that no product of sizes overflows.
        const MOST: usize = 1 << 20;
        const MOST_LAYERS: usize = 1 << 10;
        one_of("model_type", &self.model_type, &[MUSICGEN_DECODER, MELODY_DECODER])?;
        one_of("activation_function", &self.activation_function, &["gelu"])?;
        check("scale_embedding", !self.scale_embedding, self.scale_embedding, "false")?;
        for (field, size, most) in [
            ("vocab_size", self.vocab_size, MOST),
            ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS),
            ("ffn_dim", self.ffn_dim, MOST),
            ("num_attention_heads", self.num_attention_heads, MOST),
            ("hidden_size", self.hidden_size, MOST),
            ("num_codebooks", self.num_codebooks, MOST_LAYERS),
        ] {
            check(field, (1..=most).contains(&size), size, format!("1 to {most}"))?;
        }
        let (width, heads) = (self.hidden_size, self.num_attention_heads);
        // The positions' cosines and sines share the width, and their frequencies divide by a half less one.
        check("hidden_size", width.is_multiple_of(2) && width >= 4, width, "an even number from 4 on")?;
        check(
            "hidden_size",
            width.is_multiple_of(heads),
            width,
            format!("a multiple of num_attention_heads, {heads}"),
        )?;
        check("audio_channels", [1, 2].contains(&self.audio_channels), self.audio_channels, "1 or 2")?;
        let whole = self.num_codebooks.is_multiple_of(self.audio_channels);
        check("num_codebooks", whole, self.num_codebooks, "an even number for two channels")
    }

    fn build(&self, device: &Device) -> MusicgenForCausalLm {
        MusicgenForCausalLm::new(self, device)
    }

    /// Older files hold the table of positions, which is computed here.
    fn current_name(&self, published: &str) -> Option<String> {
        (!published.ends_with("embed_positions.weights")).then(|| published.to_owned())
    }
}
