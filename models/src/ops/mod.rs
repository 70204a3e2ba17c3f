//! Our own operations: what the networks spend their time in, written for the CPU with handwritten gradients; one of them, the
//! anti-aliased snake, for CUDA too.
//!
//! Each is a function of tensors that chooses by device. Where there is a kernel for it in this folder, in `f32`, it runs that;
//! on every other device, and for every other type, it runs burn's own operations, its plain form. The environment variable
//! `NOCTURNE_PLAIN_OPS=1` selects the plain form everywhere, to find out whether a kernel is to blame.
//!
//! Results depend neither on the number of threads nor on what else is in a batch: work is cut by the shape of one item,
//! and whatever is added up is added in one order.

// What is not inlined into `simd::vectorised` is compiled for the oldest instruction set.
#![allow(clippy::inline_always)]

mod attention;
mod conv1d;
mod conv2d;
mod conv_transpose1d;
mod extend;
mod fresh;
mod gated_sum;
mod gelu;
mod group_norm;
mod layer_norm;
mod linear;
mod lstm;
mod matrix;
mod primitive;
mod rotary;
mod simd;
mod snake;
mod swiglu;

pub use attention::{AttentionOptions, attention};
pub use conv_transpose1d::conv_transpose1d;
pub use conv1d::conv1d;
pub use conv2d::conv2d;
pub use extend::{Edge, elu_extended, extended};
pub use gated_sum::gated_sum;
pub use gelu::gelu;
pub use group_norm::{group_norm, group_norm_plain, group_norm_silu};
pub use layer_norm::{layer_norm, modulated_layer_norm, rms_norm};
pub use linear::{Narrow, NarrowLinear, linear};
pub use lstm::{LstmState, lstm};
pub use rotary::rotary;
pub use simd::vectorised;
pub use snake::anti_aliased_snake;
pub use swiglu::swiglu;

use std::sync::LazyLock;

use burn::tensor::{DType, Device, Tensor};

/// Whether kernels are wanted.
static KERNELS: LazyLock<bool> = LazyLock::new(|| !std::env::var("NOCTURNE_PLAIN_OPS").is_ok_and(|value| value != "0"));

/// Whether the CPU's kernels apply to a tensor.
fn has_kernels<const D: usize>(tensor: &Tensor<D>) -> bool {
    // Devices are equal whether they differentiate or not.
    *KERNELS && tensor.dtype() == DType::F32 && tensor.device() == Device::flex()
}

/// Whether those for CUDA apply to it.
#[cfg(feature = "cuda")]
fn has_cuda_kernels<const D: usize>(tensor: &Tensor<D>) -> bool {
    use burn::backend::DispatchDevice;

    *KERNELS
        && tensor.dtype() == DType::F32
        && matches!(tensor.device().without_autodiff().as_dispatch(), DispatchDevice::Cube(_))
}
