use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, RmsNorm};
use burn::tensor::{Device, Int, Tensor};

use super::block::new_norm;
use super::{T5Block, T5Config, TokenBatch};
use crate::ops::rms_norm;

/// The text encoder.
#[derive(Module, Debug)]
pub struct T5Encoder {
    /// A vector for each token; a whole T5 shares it with its decoder.
    pub shared: Embedding,
    /// What follows the embedding.
    pub encoder: T5Stack,
}

/// The blocks of the encoder.
#[derive(Module, Debug)]
pub struct T5Stack {
    /// One after the other.
    pub block: Vec<T5Block>,
    /// Normalises the output.
    pub final_layer_norm: RmsNorm,
}

impl T5Encoder {
    pub(super) fn new(config: &T5Config, device: &Device) -> Self {
        Self {
            shared: EmbeddingConfig::new(config.vocab_size, config.d_model).init(device),
            encoder: T5Stack {
                block: (0..config.num_layers).map(|index| T5Block::new(config, index == 0, device)).collect(),
                final_layer_norm: new_norm(config, device),
            },
        }
    }

    /// The encodings of token ids. `mask` is 1 where a token is attended to and 0 where it only fills the batch; what
    /// comes out at the latter means nothing. Without it, all are attended to.
    ///
    /// # Shapes
    ///
    /// `[batch, token]`, `[batch, token]` → `[batch, token, width]`
    ///
    /// # Panics
    ///
    /// If an id is not below the vocabulary's size, or nothing is in the batch.
    pub fn forward(&self, ids: Tensor<2, Int>, mask: Option<Tensor<2>>) -> Tensor<3> {
        let [_, tokens] = ids.dims();
        let mut hidden = self.shared.forward(ids);
        let bias = self.bias(tokens, mask);
        for block in &self.encoder.block {
            hidden = block.forward(hidden, bias.clone());
        }
        rms_norm(&self.encoder.final_layer_norm, hidden)
    }

    /// The encodings of captions, padded as the batch is.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`
    ///
    /// # Panics
    ///
    /// As [`T5Encoder::forward`].
    pub fn encode(&self, batch: &TokenBatch) -> Tensor<3> {
        let device = self.shared.weight.val().device();
        self.forward(batch.ids(&device), batch.mask(&device))
    }

    /// What is added to the scores of every block: the first block's bias by relative position, and −∞ for the tokens
    /// that only fill the batch.
    ///
    /// # Shapes
    ///
    /// `[batch, token]` → `[1 or batch, head, query, key]`
    pub fn bias(&self, tokens: usize, mask: Option<Tensor<2>>) -> Tensor<4> {
        let attention = &self.encoder.block[0].layer.0.SelfAttention;
        let device = self.shared.weight.val().device();
        let bias = attention
            .position_bias(tokens)
            .unwrap_or_else(|| Tensor::zeros([1, attention.heads, tokens, tokens], &device));
        match mask {
            None => bias,
            Some(mask) => {
                let [batch, _] = mask.dims();
                let hidden = mask.equal_elem(0.0).reshape([batch, 1, 1, tokens]);
                let shape = [batch, attention.heads, tokens, tokens];
                bias.expand(shape).mask_fill(hidden.expand(shape), f32::NEG_INFINITY)
            }
        }
    }
}
