use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::htsat::EPSILON;
use crate::ops::{layer_norm, linear};

/// Makes one token of two by two, twice as wide.
#[derive(Module, Debug)]
pub struct PatchMerging {
    /// From four widths to two, without bias.
    pub reduction: Linear,
    /// Before it.
    pub norm: LayerNorm,
}

impl PatchMerging {
    pub(super) fn new(width: usize, device: &Device) -> Self {
        Self {
            reduction: LinearConfig::new(4 * width, 2 * width).with_bias(false).init(device),
            norm: LayerNormConfig::new(4 * width).with_epsilon(EPSILON).init(device),
        }
    }

    /// # Shapes
    ///
    /// `[batch, side · side, width]` → `[batch, side / 2 · side / 2, 2 · width]`
    pub(super) fn forward(&self, input: Tensor<3>, side: usize) -> Tensor<3> {
        let ([batch, tokens, width], half) = (input.dims(), side / 2);
        // Of each four: down the left column, then down the right one.
        let fours = input.reshape([batch, half, 2, half, 2, width]).permute([0, 1, 3, 4, 2, 5]);
        let merged = fours.reshape([batch, tokens / 4, 4 * width]);
        linear(&self.reduction, layer_norm(&self.norm, EPSILON, merged))
    }
}
