//! Attention without keeping the probabilities: backward makes them again. The formulas of both ways are those of Dao et
//! al., "`FlashAttention`", 2022.

mod autodiff;
mod backward;
mod few;
mod forward;
mod gradients;
mod lanes;
mod panels;
mod scores;
mod shape;

use burn::backend::Dispatch;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, module};

use super::has_kernels;
use autodiff::AttentionKernel;

/// What an attention may have beside queries, keys and values.
#[derive(Clone, Debug, Default)]
pub struct AttentionOptions {
    /// The factor of the scores: 1 / √width unless given.
    pub scale: Option<f64>,
    /// Added to the scaled scores, `[1 or batch, 1 or heads, query, key]`, with a gradient; −∞ hides a key from a query.
    pub bias: Option<Tensor<4>>,
    /// Whether the query at `i` sees the keys up to `i + keys − queries` only: the last query is at the last key, so
    /// that the keys of earlier calls may stand before the new ones.
    pub causal: bool,
}

/// softmax(scale · Q Kᵀ + bias) V in each of `heads`, which share the channels evenly and in order (Vaswani et al.,
/// "Attention Is All You Need", 2017), with gradients for all. A query that sees no key gives zeros.
///
/// # Shapes
///
/// queries `[batch, query, channel]`, keys and values `[batch, key, channel]` → `[batch, query, channel]`
///
/// # Panics
///
/// If a shape does not fit the others, or `heads` does not divide the channels, or a dimension is 0.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    options: AttentionOptions,
) -> Tensor<3> {
    let AttentionOptions { scale, bias, causal } = options;
    let shape @ [batch, queries, channels] = query.dims();
    let keys = key.dims()[1];
    assert!(![batch, queries, channels, keys, heads].contains(&0), "{keys} keys and {heads} heads for {shape:?}");
    assert_eq!([[batch, keys, channels]; 2], [key.dims(), value.dims()], "keys and values for queries of {shape:?}");
    assert!(channels.is_multiple_of(heads), "{channels} channels among {heads} heads");
    let full = [batch, heads, queries, keys];
    if let Some(bias) = &bias {
        let [items, of_heads, rows, columns] = bias.dims();
        let fits = [1, batch].contains(&items) && [1, heads].contains(&of_heads) && [rows, columns] == [queries, keys];
        assert!(fits, "a bias of {:?} for scores of {full:?}", bias.dims());
    }
    if has_kernels(&query) {
        let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
        let scale = scale.unwrap_or_else(|| ((channels / heads) as f64).sqrt().recip());
        return Tensor::from_dispatch(match bias.map(Tensor::into_dispatch) {
            Some(bias) => Dispatch::biased_attention_kernel(query, key, value, bias, heads, scale, causal),
            None => Dispatch::attention_kernel(query, key, value, heads, scale, causal),
        });
    }
    let split = |tensor: Tensor<3>, count| tensor.reshape([batch, count, heads, channels / heads]).swap_dims(1, 2);
    let [query, key, value] = [split(query, queries), split(key, keys), split(value, keys)];
    let options = AttentionModuleOptions { scale, softcap: None, is_causal: causal };
    let bias = bias.map(|bias| bias.expand(full));
    module::attention(query, key, value, None, bias, options).swap_dims(1, 2).reshape(shape)
}
