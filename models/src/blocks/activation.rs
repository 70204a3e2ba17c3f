use burn::nn::GroupNorm;
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, mish, relu, silu};

use crate::ops::{group_norm, group_norm_silu};

/// An activation function by its published name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `silu`, also written `swish`.
    Silu,
    /// `mish`
    Mish,
    /// `gelu`, exact.
    Gelu,
    /// `relu`
    Relu,
}

impl Activation {
    /// Every name.
    pub(crate) const NAMES: [&str; 5] = ["silu", "swish", "mish", "gelu", "relu"];

    /// The function of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "silu" | "swish" => Some(Self::Silu),
            "mish" => Some(Self::Mish),
            "gelu" => Some(Self::Gelu),
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }

    /// Of every element.
    pub fn forward<const D: usize>(self, input: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Silu => silu(input),
            Self::Mish => mish(input),
            Self::Gelu => gelu(input),
            Self::Relu => relu(input),
        }
    }

    /// Of every element of the normalised input.
    ///
    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → the same
    pub(crate) fn of_norm(self, norm: &GroupNorm, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Silu => group_norm_silu(norm, input),
            other => other.forward(group_norm(norm, input)),
        }
    }
}
