use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::feed_forward::without_bias;
use super::{T5Config, relative_position_bucket};
use crate::ops::{AttentionOptions, attention, linear};

/// Attention of every token to all, its scores not scaled, with a bias by relative position.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// Queries.
    pub q: Linear,
    /// Keys.
    pub k: Linear,
    /// Values.
    pub v: Linear,
    /// From the heads to the width of the encodings.
    pub o: Linear,
    /// In the first block, for all blocks: a bias for each bucket of relative positions and each head.
    pub relative_attention_bias: Option<Embedding>,
    /// How many heads.
    pub heads: usize,
    /// Relative positions that are this far and farther share a bucket.
    pub max_distance: usize,
}

impl SelfAttention {
    pub(super) fn new(config: &T5Config, first: bool, device: &Device) -> Self {
        let inner = config.num_heads * config.d_kv;
        let input = || without_bias([config.d_model, inner], device);
        let table = || EmbeddingConfig::new(config.relative_attention_num_buckets, config.num_heads).init(device);
        Self {
            q: input(),
            k: input(),
            v: input(),
            o: without_bias([inner, config.d_model], device),
            relative_attention_bias: first.then(table),
            heads: config.num_heads,
            max_distance: config.relative_attention_max_distance,
        }
    }

    /// `bias` is added to the scores.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`, `[1 or batch, head, token, token]` → `[batch, token, width]`
    pub fn forward(&self, input: Tensor<3>, bias: Tensor<4>) -> Tensor<3> {
        let [query, key, value] = [&self.q, &self.k, &self.v].map(|layer| linear(layer, input.clone()));
        let options = AttentionOptions { scale: Some(1.0), bias: Some(bias), causal: false };
        linear(&self.o, attention(query, key, value, self.heads, options))
    }

    /// The bias of `tokens` positions; none in a block that has no table of its own.
    ///
    /// # Shapes
    ///
    /// `[1, head, query, key]`
    pub fn position_bias(&self, tokens: usize) -> Option<Tensor<4>> {
        let table = self.relative_attention_bias.as_ref()?;
        let weight = table.weight.val();
        let [buckets, heads] = weight.dims();
        let bucket = |distance| relative_position_bucket(distance, buckets, self.max_distance) as i32;
        // Every distance once: query i reads the stretch of it that begins `tokens − 1 − i` in.
        let last = tokens as i64 - 1;
        let of_distance: Vec<i32> = (-last..=last).map(bucket).collect();
        let indices: Vec<i32> =
            (0..tokens).flat_map(|query| of_distance[tokens - 1 - query..][..tokens].iter().copied()).collect();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [tokens * tokens]), &weight.device());
        let bias = weight.select(0, indices).reshape([1, tokens, tokens, heads]);
        Some(bias.permute([0, 3, 1, 2]))
    }
}
