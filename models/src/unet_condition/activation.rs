use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, mish, relu, silu};

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
    pub(super) const NAMES: [&str; 5] = ["silu", "swish", "mish", "gelu", "relu"];

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
}
