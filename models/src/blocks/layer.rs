use burn::module::Module;
use burn::tensor::Tensor;

use super::ResnetBlock;
use crate::recompute::{Tensors, recompute};

/// A layer of a U-Net: a residual block, attention behind it where there is any, and whether backward makes again what is
/// computed in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a, A> {
    pub resnet: &'a ResnetBlock,
    pub attention: Option<&'a A>,
    pub recompute: bool,
}

impl<A: Module + 'static> Layer<'_, A> {
    /// `skip` is joined to `hidden`; `attend` is how the attention sees `context`.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]` and `[batch, skip, height, width]`, time embedding `[batch, embedding]` →
    /// `[batch, out, height, width]`
    pub fn forward<C: Tensors>(
        self,
        hidden: Tensor<4>,
        skip: Option<Tensor<4>>,
        time: &Tensor<2>,
        context: C,
        attend: fn(&A, Tensor<4>, &C) -> Tensor<4>,
    ) -> Tensor<4> {
        let Self { resnet, attention, recompute: again } = self;
        // Small, and outside: all layers share the time embedding, and its gradient adds up as without recomputation.
        let time = resnet.projected(Some(time.clone()));
        if !again {
            return run(resnet, attention, hidden, skip, time, &context, attend);
        }
        let resnet = ResnetBlock { time_emb_proj: None, ..resnet.clone() };
        let (layer, beside) = ((resnet, attention.cloned()), (context, skip, time));
        recompute(layer, hidden, beside, move |(resnet, attention), hidden, (context, skip, time)| {
            run(resnet, attention.as_ref(), hidden, skip, time, &context, attend)
        })
    }
}

fn run<A, C>(
    resnet: &ResnetBlock,
    attention: Option<&A>,
    hidden: Tensor<4>,
    skip: Option<Tensor<4>>,
    time: Option<Tensor<4>>,
    context: &C,
    attend: fn(&A, Tensor<4>, &C) -> Tensor<4>,
) -> Tensor<4> {
    let input = match skip {
        Some(skip) => Tensor::cat(vec![hidden, skip], 1),
        None => hidden,
    };
    let hidden = resnet.forward_projected(input, time);
    match attention {
        Some(attention) => attend(attention, hidden, context),
        None => hidden,
    }
}
