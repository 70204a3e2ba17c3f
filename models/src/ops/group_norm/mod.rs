//! Group normalisation, with or without `SiLU` behind it, in one pass over memory forward and two backward.

mod autodiff;
mod kernels;

use burn::backend::Dispatch;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{DType, Tensor, activation};

use super::has_kernels;
use autodiff::GroupNormKernel;

/// The group normalisation `layer` of `input` (Wu & He, "Group Normalization", 2018), with gradients for both.
///
/// # Shapes
///
/// `[batch, channel, height, width]` → the same
///
/// # Panics
///
/// If the channels of `input` are not those of `layer`.
pub fn group_norm(layer: &GroupNorm, input: Tensor<4>) -> Tensor<4> {
    normalised(layer, input, false)
}

/// `SiLU`, x / (1 + e⁻ˣ), of [`group_norm`].
///
/// # Shapes
///
/// `[batch, channel, height, width]` → the same
///
/// # Panics
///
/// If the channels of `input` are not those of `layer`.
pub fn group_norm_silu(layer: &GroupNorm, input: Tensor<4>) -> Tensor<4> {
    normalised(layer, input, true)
}

/// The group normalisation of `input` without parameters.
///
/// # Shapes
///
/// `[batch, channel, height, width]` → the same
///
/// # Panics
///
/// If `groups` do not divide the channels.
pub fn group_norm_plain(input: Tensor<4>, groups: usize, epsilon: f64) -> Tensor<4> {
    let (outer, channels) = (input.dtype(), input.dims()[1]);
    assert!(channels.is_multiple_of(groups), "{groups} groups of {channels} channels");
    let input = input.cast(DType::F32);
    let output = if has_kernels(&input) {
        let device = input.device();
        let [scale, shift] = [Tensor::<1>::ones([channels], &device), Tensor::zeros([channels], &device)];
        let [input, scale, shift] = [input.into_dispatch(), scale.into_dispatch(), shift.into_dispatch()];
        Tensor::from_dispatch(Dispatch::group_norm_kernel(input, scale, shift, groups, epsilon, false))
    } else {
        let config = GroupNormConfig::new(groups, channels).with_epsilon(epsilon).with_affine(false);
        config.init(&input.device()).forward(input)
    };
    output.cast(outer)
}

/// Normalises in the precision of the norm's own parameters: in mixed precision these are float32, because the variance
/// of a whole picture is more than bfloat16 can hold.
fn normalised(layer: &GroupNorm, input: Tensor<4>, silu: bool) -> Tensor<4> {
    let outer = input.dtype();
    match layer.gamma.as_ref().map(|gamma| gamma.val().dtype()) {
        Some(inner) if inner != outer => in_one_precision(layer, input.cast(inner), silu).cast(outer),
        _ => in_one_precision(layer, input, silu),
    }
}

fn in_one_precision(layer: &GroupNorm, input: Tensor<4>, silu: bool) -> Tensor<4> {
    let (Some(scale), Some(shift), true) = (&layer.gamma, &layer.beta, has_kernels(&input)) else {
        let output = layer.forward(input);
        return if silu { activation::silu(output) } else { output };
    };
    assert_eq!(input.dims()[1], layer.num_channels, "channels of an input of {:?}", input.dims());
    let [input, scale, shift] = [input.into_dispatch(), scale.val().into_dispatch(), shift.val().into_dispatch()];
    Tensor::from_dispatch(Dispatch::group_norm_kernel(input, scale, shift, layer.num_groups, layer.epsilon, silu))
}
