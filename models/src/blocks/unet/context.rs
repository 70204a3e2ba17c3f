use burn::tensor::Tensor;

use crate::recompute::{Change, Tensors};

/// What cross-attention attends to: the condition, as wide as the blocks take it.
#[derive(Clone, Debug)]
pub struct Context {
    /// `[batch, token, width]`
    pub encodings: Tensor<3>,
    /// Added to the scores of the tokens, `[batch, 1, 1, token]`.
    bias: Option<Tensor<4>>,
}

impl Context {
    /// Tokens whose `mask` is 0 are hidden, those with 1 are seen.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`, `[batch, token]`
    pub fn new(encodings: Tensor<3>, mask: Option<Tensor<2>>) -> Self {
        // As low as in diffusers, not −∞: where all tokens of an item are hidden, all are seen alike.
        const HIDDEN: f64 = -10_000.0;
        let dtype = encodings.dtype();
        let bias = mask.map(|mask| ((mask.cast(dtype) - 1.0) * -HIDDEN).unsqueeze_dims::<4>(&[1, 1]));
        Self { encodings, bias }
    }

    /// What is added to the scores of so many queries, if anything: for the tokens, and behind them for `others` keys that
    /// every query sees.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, query, token + others]`
    pub(super) fn bias(&self, queries: usize, others: usize) -> Option<Tensor<4>> {
        let bias = self.bias.clone()?;
        let [batch, _, _, tokens] = bias.dims();
        let bias = match others {
            0 => bias,
            others => {
                let seen = Tensor::zeros([batch, 1, 1, others], (&bias.device(), bias.dtype()));
                Tensor::cat(vec![bias, seen], 3)
            }
        };
        Some(bias.expand([batch, 1, queries, tokens + others]))
    }
}

impl Tensors for Context {
    fn changed(self, by: &mut impl Change) -> Self {
        Self { encodings: self.encodings.changed(by), bias: self.bias.changed(by) }
    }
}
