use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Int, Tensor};

use super::ClapTextConfig;
use crate::ops::layer_norm;

/// The sum of three embeddings of each token, normalised.
#[derive(Module, Debug)]
pub struct Embeddings {
    /// Of its id.
    pub word_embeddings: Embedding,
    /// Of its position.
    pub position_embeddings: Embedding,
    /// Of its kind.
    pub token_type_embeddings: Embedding,
    /// Normalises the sum.
    pub LayerNorm: LayerNorm,
    /// Added to the variances.
    pub epsilon: f64,
}

impl Embeddings {
    pub(super) fn new(config: &ClapTextConfig, device: &Device) -> Self {
        let table = |rows| EmbeddingConfig::new(rows, config.hidden_size).init(device);
        let epsilon = config.layer_norm_eps;
        Self {
            word_embeddings: table(config.vocab_size),
            position_embeddings: table(config.max_position_embeddings),
            token_type_embeddings: table(config.type_vocab_size),
            LayerNorm: LayerNormConfig::new(config.hidden_size).with_epsilon(epsilon).init(device),
            epsilon,
        }
    }

    /// # Shapes
    ///
    /// `[batch, token]`, `[batch, token]` → `[batch, token, width]`
    pub fn forward(&self, ids: Tensor<2, Int>, positions: Tensor<2, Int>) -> Tensor<3> {
        let kind = self.token_type_embeddings.weight.val().narrow(0, 0, 1).unsqueeze_dim::<3>(0);
        let sum = self.word_embeddings.forward(ids) + self.position_embeddings.forward(positions) + kind;
        layer_norm(&self.LayerNorm, self.epsilon, sum)
    }
}
