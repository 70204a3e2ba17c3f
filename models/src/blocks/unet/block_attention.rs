use burn::module::Module;
use burn::tensor::Tensor;

use super::{AddedAttention, Context, Transformer2D};
use crate::blocks::Attention;

/// The attention behind a residual block.
#[derive(Module, Debug)]
pub enum BlockAttention {
    /// To the sample itself.
    Own(Attention),
    /// Transformer layers, with attention to the context.
    Transformer(Transformer2D),
    /// One attention to the context and to the sample itself.
    Added(AddedAttention),
}

impl BlockAttention {
    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → the same
    ///
    /// # Panics
    ///
    /// If the attention is to a context and is not given it.
    pub fn forward(&self, input: Tensor<4>, context: Option<&Context>) -> Tensor<4> {
        let known = || context.expect("a context for an attention that knows one");
        match self {
            Self::Own(attention) => attention.forward(input),
            Self::Transformer(transformer) => transformer.forward(input, known()),
            Self::Added(attention) => attention.forward(input, known()),
        }
    }
}
