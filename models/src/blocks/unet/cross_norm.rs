use burn::module::Module;
use burn::nn::{GroupNorm, LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

use crate::blocks::new_norm;
use crate::network::{ConfigError, check};
use crate::ops::{group_norm, layer_norm};

/// The published default, which no configuration changes.
const EPSILON: f64 = 1e-5;

/// Likewise.
const GROUPS: usize = 32;

/// What normalises a context before it is attended to.
#[derive(Module, Debug)]
pub enum CrossNorm {
    /// Each token by itself.
    Layer(LayerNorm),
    /// Groups of channels over all tokens, those that a mask hides too, as in diffusers.
    Group(GroupNorm),
}

/// A kind of [`CrossNorm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrossNormKind {
    /// `layer_norm`
    Layer,
    /// `group_norm`
    Group,
}

impl CrossNormKind {
    /// Every published name.
    pub const NAMES: [&str; 2] = ["layer_norm", "group_norm"];

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "layer_norm" => Some(Self::Layer),
            "group_norm" => Some(Self::Group),
            _ => None,
        }
    }

    /// Checks the width of the context of a "simple" attention over so many channels, which diffusers takes for that of the
    /// layer norm.
    pub(super) fn check(self, context: usize, channels: usize) -> Result<(), ConfigError> {
        let (holds, expected) = match self {
            Self::Layer => {
                (context == channels, format!("{channels}, the channels of the attention behind layer_norm"))
            }
            Self::Group => (context.is_multiple_of(GROUPS), format!("multiples of {GROUPS}, the groups of group_norm")),
        };
        check("cross_attention_dim", holds, context, expected)
    }
}

impl CrossNorm {
    pub(super) fn new(kind: CrossNormKind, width: usize, device: &Device) -> Self {
        match kind {
            CrossNormKind::Layer => Self::Layer(LayerNormConfig::new(width).with_epsilon(EPSILON).init(device)),
            CrossNormKind::Group => Self::Group(new_norm([GROUPS, width], EPSILON, device)),
        }
    }

    /// # Shapes
    ///
    /// `[batch, token, width]` → the same
    pub fn forward(&self, encodings: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Layer(norm) => layer_norm(norm, EPSILON, encodings),
            Self::Group(norm) => {
                let picture = encodings.swap_dims(1, 2).unsqueeze_dim::<4>(3);
                group_norm(norm, picture).squeeze_dim::<3>(3).swap_dims(1, 2)
            }
        }
    }
}
