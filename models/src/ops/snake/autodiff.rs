use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::Filters;
use super::backward::backward;
use super::forward::forward;
use crate::ops::primitive::{Contiguous, tensor};

/// The activation as one operation with a handwritten gradient. The filters have none.
#[backend_extension(Flex, Cube: cfg(feature = "cuda"), Fusion: cfg(feature = "cuda"), Autodiff)]
pub(super) trait SnakeKernel: Backend {
    #[fusion(dtype = input, shape = input)]
    fn snake_kernel(
        input: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// The gradients of input, alpha and beta.
#[backend_extension(Flex, Cube: cfg(feature = "cuda"), Fusion: cfg(feature = "cuda"))]
pub(super) trait SnakeGradients: Backend {
    #[fusion(meta = |_gradient, input, alpha, beta, _up, _down| (input.clone(), alpha.clone(), beta.clone()))]
    fn snake_gradients(
        gradient: FloatTensor<Self>,
        input: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

fn taps(filters: [FlexTensor; 2]) -> Filters {
    filters.map(|filter| *Contiguous::new(filter).values().first_chunk().expect("as many taps"))
}

impl SnakeKernel for Flex {
    fn snake_kernel(
        input: FlexTensor,
        alpha: FlexTensor,
        beta: FlexTensor,
        up: FlexTensor,
        down: FlexTensor,
    ) -> FlexTensor {
        let [input, alpha, beta] = [input, alpha, beta].map(Contiguous::new);
        let shape @ [_, _, time] = input.shape();
        tensor(forward(time, input.values(), [alpha.values(), beta.values()], &taps([up, down])), shape)
    }
}

impl SnakeGradients for Flex {
    fn snake_gradients(
        gradient: FlexTensor,
        input: FlexTensor,
        alpha: FlexTensor,
        beta: FlexTensor,
        up: FlexTensor,
        down: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [gradient, input, alpha, beta] = [gradient, input, alpha, beta].map(Contiguous::new);
        let shape @ [_, channels, time] = input.shape();
        let vectors = [alpha.values(), beta.values()];
        let found = backward(time, gradient.values(), input.values(), vectors, &taps([up, down]));
        (tensor(found.input, shape), tensor(found.alpha, [channels]), tensor(found.beta, [channels]))
    }
}

/// The backward step; its parents are input, alpha and beta.
#[derive(Debug)]
struct SnakeBackward;

/// The parents, as burn keeps or recomputes them, and the filters.
type State<B> = ([NodeId; 3], [FloatTensor<B>; 2]);

impl<B: SnakeGradients> Backward<B, 3> for SnakeBackward {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (parents, [up, down]) = ops.state;
        let [input, alpha, beta] = parents.map(|parent| checkpointer.retrieve_node_output(parent));
        let (input, alpha, beta) = B::snake_gradients(gradient, input, alpha, beta, up, down);
        for (node, found) in ops.parents.into_iter().zip([input, alpha, beta]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, found);
            }
        }
    }
}

impl<B: SnakeKernel + SnakeGradients, C: CheckpointStrategy> SnakeKernel for Autodiff<B, C> {
    fn snake_kernel(
        input: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [up, down] = [&up, &down].map(|filter| filter.primitive().clone());
        let parents = [&input, &alpha, &beta];
        let [of_input, of_alpha, of_beta] = parents.map(|parent| parent.primitive().clone());
        let output = B::snake_kernel(of_input, of_alpha, of_beta, up.clone(), down.clone());
        match SnakeBackward.prepare::<C>(parents.map(<FloatTensor<Self>>::node)).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (parents.map(|parent| prep.checkpoint(parent)), [up, down]);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
