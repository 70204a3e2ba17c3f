use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::T5Encoder;
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::network::{ConfigError, NetworkConfig, check, one_of};

/// `config.json` of a T5 folder: the fields of transformers' `T5Config` that its encoder needs, with its names and
/// defaults. Fields that it does not know are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct T5Config {
    /// Always `t5`.
    pub model_type: String,
    /// Rows of the embedding; at least as many as the tokenizer has tokens.
    pub vocab_size: usize,
    /// Width of the encodings.
    pub d_model: usize,
    /// Width of a head's queries, keys and values; the heads together need not be as wide as `d_model`.
    pub d_kv: usize,
    /// Width between the two layers of a feed-forward network.
    pub d_ff: usize,
    /// Blocks of the encoder.
    pub num_layers: usize,
    /// Heads of every attention.
    pub num_heads: usize,
    /// Buckets that relative positions fall into, half of them for each direction.
    pub relative_attention_num_buckets: usize,
    /// Positions that are this far apart and farther share a bucket.
    pub relative_attention_max_distance: usize,
    /// Added to the mean squares.
    pub layer_norm_epsilon: f64,
    /// `relu` (T5) or `gated-gelu` (T5 1.1, Flan-T5).
    pub feed_forward_proj: String,
}

impl Default for T5Config {
    fn default() -> Self {
        Self {
            model_type: "t5".to_owned(),
            vocab_size: 32_128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward_proj: "relu".to_owned(),
        }
    }
}

/// The embedding, and the name under which files that were saved without tying have it alone or once more.
const SHARED: &str = "shared.weight";
const UNTIED: &str = "encoder.embed_tokens.weight";

impl NetworkConfig for T5Config {
    type Network = T5Encoder;

    const WEIGHTS: &'static str = "model.safetensors";

    fn validate(&self) -> Result<(), ConfigError> {
        // Bounds far above any network, so that no product of sizes overflows.
        const MOST: usize = 1 << 20;
        const MOST_LAYERS: usize = 1 << 10;
        one_of("model_type", &self.model_type, &["t5"])?;
        one_of("feed_forward_proj", &self.feed_forward_proj, &["relu", "gated-gelu"])?;
        for (field, size, most) in [
            ("vocab_size", self.vocab_size, MOST),
            ("d_model", self.d_model, MOST),
            ("d_kv", self.d_kv, MOST),
            ("d_ff", self.d_ff, MOST),
            ("num_layers", self.num_layers, MOST_LAYERS),
            ("num_heads", self.num_heads, MOST),
        ] {
            check(field, (1..=most).contains(&size), size, format!("1 to {most}"))?;
        }
        // Half for each direction, and of these half for single positions.
        let buckets = self.relative_attention_num_buckets;
        let expected = format!("a multiple of 4, at most {MOST}");
        let fits = (4..=MOST).contains(&buckets) && buckets.is_multiple_of(4);
        check("relative_attention_num_buckets", fits, buckets, expected)?;
        let distance = self.relative_attention_max_distance;
        let expected = format!("more than {} and at most {MOST}", buckets / 4);
        check("relative_attention_max_distance", (buckets / 4 + 1..=MOST).contains(&distance), distance, expected)?;
        check("layer_norm_epsilon", self.layer_norm_epsilon > 0.0, self.layer_norm_epsilon, "a positive number")
    }

    fn build(&self, device: &Device) -> T5Encoder {
        T5Encoder::new(self, device)
    }

    /// Leaves the decoder and the output layer of a whole T5 out, and the second copy of the embedding.
    fn current_name(&self, published: &str) -> Option<String> {
        let needed = published != UNTIED && !published.starts_with("decoder.") && !published.starts_with("lm_head.");
        needed.then(|| published.to_owned())
    }

    fn fill(&self, network: T5Encoder, from: Checkpoint) -> Result<T5Encoder, CheckpointError> {
        let tied = from.shape(SHARED).is_some();
        let from = from.rename(|name| match name {
            UNTIED if !tied => Some(SHARED.to_owned()),
            name => self.current_name(name),
        })?;
        checkpoint::load(network, &from)
    }
}
