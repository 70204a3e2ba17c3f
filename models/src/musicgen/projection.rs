use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::ops::{Narrow, NarrowLinear, linear};

/// A linear layer without bias: what every step reads from one end to the other.
#[derive(Module, Debug)]
pub enum Projection {
    /// In f32, which can be trained.
    Full(Linear),
    /// In fewer bytes, to generate with.
    Narrow(NarrowLinear),
}

impl Projection {
    pub(super) fn new([input, output]: [usize; 2], device: &Device) -> Self {
        Self::Full(LinearConfig::new(input, output).with_bias(false).init(device))
    }

    /// # Shapes
    ///
    /// `[batch, …, in]` → `[batch, …, out]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Full(layer) => linear(layer, input),
            Self::Narrow(layer) => layer.forward(input),
        }
    }

    /// The same in fewer bytes; one that is narrow stays as it is.
    pub(super) fn narrowed(self, narrow: Narrow) -> Self {
        match self {
            Self::Full(layer) => Self::Narrow(NarrowLinear::new(layer, narrow)),
            Self::Narrow(_) => self,
        }
    }
}
