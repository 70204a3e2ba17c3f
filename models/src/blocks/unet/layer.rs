use burn::tensor::Tensor;

use super::{BlockAttention, Context};
use crate::blocks::ResnetBlock;
use crate::recompute::recompute;

/// A layer of a U-Net: a residual block, attention behind it where there is any, and whether backward makes again what is
/// computed in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    pub resnet: &'a ResnetBlock,
    pub attention: Option<&'a BlockAttention>,
    pub recompute: bool,
}

impl Layer<'_> {
    /// `skip` is joined to `hidden`.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]` and `[batch, skip, height, width]`, time embedding `[batch, embedding]` →
    /// `[batch, out, height, width]`
    pub fn forward(
        self,
        hidden: Tensor<4>,
        skip: Option<Tensor<4>>,
        time: &Tensor<2>,
        context: Option<&Context>,
    ) -> Tensor<4> {
        let Self { resnet, attention, recompute: again } = self;
        // Small, and outside: all layers share the time embedding, and its gradient adds up as without recomputation.
        let time = resnet.projected(Some(time.clone()));
        if !again {
            return run(resnet, attention, hidden, skip, time, context);
        }
        let resnet = ResnetBlock { time_emb_proj: None, ..resnet.clone() };
        let (layer, beside) = ((resnet, attention.cloned()), (context.cloned(), skip, time));
        recompute(layer, hidden, beside, |(resnet, attention), hidden, (context, skip, time)| {
            run(resnet, attention.as_ref(), hidden, skip, time, context.as_ref())
        })
    }
}

fn run(
    resnet: &ResnetBlock,
    attention: Option<&BlockAttention>,
    hidden: Tensor<4>,
    skip: Option<Tensor<4>>,
    time: Option<Tensor<4>>,
    context: Option<&Context>,
) -> Tensor<4> {
    let hidden = resnet.forward_projected(joined(hidden, skip), time);
    match attention {
        Some(attention) => attention.forward(hidden, context),
        None => hidden,
    }
}

/// The channels of both.
pub(super) fn joined(hidden: Tensor<4>, skip: Option<Tensor<4>>) -> Tensor<4> {
    match skip {
        Some(skip) => Tensor::cat(vec![hidden, skip], 1),
        None => hidden,
    }
}
