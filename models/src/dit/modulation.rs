use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::ops::linear;

/// What time does to the tokens: some vectors of their width, from the time embedding.
#[derive(Module, Debug)]
pub struct Modulation {
    /// All vectors, one behind the other.
    pub linear: Linear,
}

impl Modulation {
    pub(super) fn new(width: usize, vectors: usize, device: &Device) -> Self {
        Self { linear: LinearConfig::new(width, vectors * width).init(device) }
    }

    /// `N` must be the number of vectors. `time` is behind its `SiLU`.
    ///
    /// # Shapes
    ///
    /// `[batch, width]` → `N` times the same
    pub fn forward<const N: usize>(&self, time: Tensor<2>) -> [Tensor<2>; N] {
        let width = time.dims()[1];
        let vectors = linear(&self.linear, time);
        std::array::from_fn(|index| vectors.clone().narrow(1, index * width, width))
    }
}
