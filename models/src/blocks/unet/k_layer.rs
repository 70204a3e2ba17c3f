use burn::tensor::Tensor;

use super::layer::joined;
use super::{Context, KAttention, KResnetBlock};
use crate::recompute::recompute;

/// A layer of a K block: a residual block, attention behind it where there is any, and whether backward makes again what
/// is computed in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KLayer<'a> {
    pub resnet: &'a KResnetBlock,
    pub attention: Option<&'a KAttention>,
    pub recompute: bool,
}

impl KLayer<'_> {
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
        if !again {
            return run(resnet, attention, joined(hidden, skip), time, context);
        }
        let (layer, beside) = ((resnet.clone(), attention.cloned()), (context.cloned(), skip, time.clone()));
        recompute(layer, hidden, beside, |(resnet, attention), hidden, (context, skip, time)| {
            run(resnet, attention.as_ref(), joined(hidden, skip), &time, context.as_ref())
        })
    }
}

fn run(
    resnet: &KResnetBlock,
    attention: Option<&KAttention>,
    hidden: Tensor<4>,
    time: &Tensor<2>,
    context: Option<&Context>,
) -> Tensor<4> {
    let hidden = resnet.forward(hidden, time);
    match attention {
        Some(attention) => attention.forward(hidden, time, context),
        None => hidden,
    }
}
