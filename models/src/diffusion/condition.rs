//! What a network is conditioned on beside the time.

use burn::tensor::Tensor;

/// A sequence of encodings for each item: a caption's, a recording's.
#[derive(Clone, Debug)]
pub struct Condition {
    /// `[batch, token, width]`
    pub encodings: Tensor<3>,
    /// `[batch, token]`: 1 where a token is attended to, 0 where it only fills the batch. Absent: all are.
    pub mask: Option<Tensor<2>>,
}
