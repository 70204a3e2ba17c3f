use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};

use crate::ops::linear;

/// What keeps the direction of a vector without length defined.
const LEAST_LENGTH: f64 = 1e-12;

/// The way of a branch to the common space, numbered as in LAION's files.
pub(super) fn projection(input: usize, dim: usize, device: &Device) -> (Linear, Relu, Linear) {
    let layer = |input| LinearConfig::new(input, dim).init(device);
    (layer(input), Relu::new(), layer(dim))
}

/// Vectors of length 1.
///
/// # Shapes
///
/// `[batch, hidden_size]` → `[batch, dim]`
pub(super) fn projected((first, relu, second): &(Linear, Relu, Linear), pooled: Tensor<2>) -> Tensor<2> {
    let vectors = linear(second, relu.forward(linear(first, pooled)));
    let length = vectors.clone().square().sum_dim(1).sqrt().clamp_min(LEAST_LENGTH);
    vectors / length
}
