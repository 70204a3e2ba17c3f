//! What a network is conditioned on beside the time.

use burn::tensor::{Tensor, TensorCreationOptions};

/// A sequence of encodings for each item: a caption's, a recording's.
#[derive(Clone, Debug)]
pub struct Condition {
    /// `[batch, token, width]`
    pub encodings: Tensor<3>,
    /// `[batch, token]`: 1 where a token is attended to, 0 where it only fills the batch. Absent: all are.
    pub mask: Option<Tensor<2>>,
}

impl Condition {
    /// The items of several conditions of the same width as one batch. Those of fewer tokens are filled up with zeros that
    /// the mask hides.
    pub fn cat(conditions: Vec<Self>) -> Self {
        let lengths: Vec<usize> = conditions.iter().map(|condition| condition.encodings.dims()[1]).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let whole = lengths.iter().all(|length| *length == longest);
        let masks = if whole && conditions.iter().all(|condition| condition.mask.is_none()) {
            None
        } else {
            let masks = conditions.iter().map(|condition| filled(condition.attended().unsqueeze_dim::<3>(2), longest));
            Some(Tensor::cat(masks.collect(), 0).squeeze_dim(2))
        };
        let encodings = conditions.into_iter().map(|condition| filled(condition.encodings, longest));
        Self { encodings: Tensor::cat(encodings.collect(), 0), mask: masks }
    }

    /// The mask, also where all tokens are attended to: `[batch, token]`.
    fn attended(&self) -> Tensor<2> {
        let [batch, tokens, _] = self.encodings.dims();
        let options = TensorCreationOptions::from((&self.encodings.device(), self.encodings.dtype()));
        self.mask.clone().unwrap_or_else(|| Tensor::ones([batch, tokens], options))
    }
}

/// Zeros after the tokens, up to `longest`.
///
/// # Shapes
/// - tokens: `[batch, token, width]`
/// - output: `[batch, longest, width]`
fn filled(tokens: Tensor<3>, longest: usize) -> Tensor<3> {
    let [batch, length, width] = tokens.dims();
    if length == longest {
        return tokens;
    }
    let zeros = Tensor::zeros([batch, longest - length, width], (&tokens.device(), tokens.dtype()));
    Tensor::cat(vec![tokens, zeros], 1)
}
