//! Attention of every position to every other, without keeping the probabilities: backward makes them again.

mod autodiff;
mod kernels;

use burn::backend::Dispatch;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, module};

use super::has_kernels;
use autodiff::AttentionKernel;

/// softmax(Q Kᵀ / √width) V in each of `heads`, which share the channels evenly and in order (Vaswani et al., "Attention Is
/// All You Need", 2017), with gradients for all three.
///
/// # Shapes
///
/// three times `[batch, position, channel]` → the same
///
/// # Panics
///
/// If the three shapes differ, or `heads` does not divide the channels.
pub fn attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize) -> Tensor<3> {
    let shape @ [batch, positions, channels] = query.dims();
    assert_eq!([shape; 2], [key.dims(), value.dims()], "keys and values for queries of {shape:?}");
    assert!(channels.is_multiple_of(heads), "{channels} channels among {heads} heads");
    if has_kernels(&query) {
        let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
        return Tensor::from_dispatch(Dispatch::attention_kernel(query, key, value, heads));
    }
    let split = |tensor: Tensor<3>| tensor.reshape([batch, positions, heads, channels / heads]).swap_dims(1, 2);
    let options = AttentionModuleOptions::default();
    let attended = module::attention(split(query), split(key), split(value), None, None, options);
    attended.swap_dims(1, 2).reshape(shape)
}
