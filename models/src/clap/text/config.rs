use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::network::{ConfigError, check, one_of};

/// Widths of RoBERTa's heads, in all published sizes.
const HEAD_WIDTH: usize = 64;

/// The text branch, `text_config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClapTextConfig {
    /// Rows of the embedding; at least as many as the tokenizer has tokens.
    pub vocab_size: usize,
    /// Width of the encodings.
    pub hidden_size: usize,
    /// How many layers.
    pub num_hidden_layers: usize,
    /// Heads of each.
    pub num_attention_heads: usize,
    /// Width between the two layers of a feed-forward network.
    pub intermediate_size: usize,
    /// Always `gelu`.
    pub hidden_act: String,
    /// Rows of the table of positions, of which the first two are no positions.
    pub max_position_embeddings: usize,
    /// Kinds of tokens, of which the first alone is used.
    pub type_vocab_size: usize,
    /// Added to the variances. LAION trained with 1e-5; transformers' own default is 1e-12.
    pub layer_norm_eps: f64,
}

impl Default for ClapTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 50_265,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".to_owned(),
            max_position_embeddings: 514,
            type_vocab_size: 1,
            layer_norm_eps: 1e-12,
        }
    }
}

impl ClapTextConfig {
    /// Tokens of the longest text.
    pub fn max_length(&self) -> usize {
        self.max_position_embeddings - 2
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        // Bounds far above any network, so that no product of sizes overflows.
        const MOST: usize = 1 << 20;
        const MOST_LAYERS: usize = 1 << 10;
        one_of("hidden_act", &self.hidden_act, &["gelu"])?;
        for (field, size, least, most) in [
            ("vocab_size", self.vocab_size, 2, MOST),
            ("hidden_size", self.hidden_size, 1, MOST),
            ("num_hidden_layers", self.num_hidden_layers, 1, MOST_LAYERS),
            ("intermediate_size", self.intermediate_size, 1, MOST),
            ("max_position_embeddings", self.max_position_embeddings, 4, MOST),
            ("type_vocab_size", self.type_vocab_size, 1, MOST),
        ] {
            check(field, (least..=most).contains(&size), size, format!("{least} to {most}"))?;
        }
        let (heads, width) = (self.num_attention_heads, self.hidden_size);
        let even = heads > 0 && width.is_multiple_of(heads);
        check("num_attention_heads", even, heads, format!("a divisor of {width}"))?;
        check("layer_norm_eps", self.layer_norm_eps > 0.0, self.layer_norm_eps, "a positive number")
    }

    /// The configuration of a network from its tensors, by our names: LAION's files have none.
    pub(super) fn of(from: &Checkpoint) -> Self {
        let published = Self::default();
        let rows = |name: &str| from.shape(&format!("text_branch.{name}")).and_then(<[usize]>::first).copied();
        let layer = |index: usize| rows(&format!("encoder.layer.{index}.output.dense.weight"));
        let hidden_size = layer(0).unwrap_or(published.hidden_size);
        Self {
            vocab_size: rows("embeddings.word_embeddings.weight").unwrap_or(published.vocab_size),
            hidden_size,
            num_hidden_layers: (0_usize..1024).take_while(|index| layer(*index).is_some()).count(),
            num_attention_heads: (hidden_size / HEAD_WIDTH).max(1),
            intermediate_size: rows("encoder.layer.0.intermediate.dense.weight").unwrap_or(published.intermediate_size),
            max_position_embeddings: rows("embeddings.position_embeddings.weight")
                .unwrap_or(published.max_position_embeddings),
            type_vocab_size: rows("embeddings.token_type_embeddings.weight").unwrap_or(published.type_vocab_size),
            layer_norm_eps: 1e-5,
            ..published
        }
    }
}
