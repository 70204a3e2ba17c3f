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

/// The activation as one operation with a handwritten gradient. The filters are two rows of taps, the one upwards first;
/// they have no gradient.
#[backend_extension(Flex, Autodiff)]
pub(super) trait SnakeKernel: Backend {
    fn snake_kernel(
        input: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        filters: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

fn taps(filters: FlexTensor) -> Filters {
    let filters = Contiguous::new(filters);
    let (rows, _) = filters.values().as_chunks();
    [rows[0], rows[1]]
}

impl SnakeKernel for Flex {
    fn snake_kernel(input: FlexTensor, alpha: FlexTensor, beta: FlexTensor, filters: FlexTensor) -> FlexTensor {
        let [input, alpha, beta] = [input, alpha, beta].map(Contiguous::new);
        let shape @ [_, _, time] = input.shape();
        tensor(forward(time, input.values(), [alpha.values(), beta.values()], &taps(filters)), shape)
    }
}

/// The backward step; its parents are input, alpha and beta.
#[derive(Debug)]
struct SnakeBackward;

/// The parents, as burn keeps or recomputes them.
type State = ([NodeId; 3], Filters);

impl Backward<Flex, 3> for SnakeBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let (parents, filters) = ops.state;
        let [input, alpha, beta] =
            parents.map(|parent| Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(parent)));
        let shape @ [_, channels, time] = input.shape();
        let found = backward(time, gradient.values(), input.values(), [alpha.values(), beta.values()], &filters);
        let [of_input, of_alpha, of_beta] = ops.parents;
        if let Some(node) = of_input {
            gradients.register::<Flex>(node.id, tensor(found.input, shape));
        }
        if let Some(node) = of_alpha {
            gradients.register::<Flex>(node.id, tensor(found.alpha, [channels]));
        }
        if let Some(node) = of_beta {
            gradients.register::<Flex>(node.id, tensor(found.beta, [channels]));
        }
    }
}

impl<C: CheckpointStrategy> SnakeKernel for Autodiff<Flex, C> {
    fn snake_kernel(
        input: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        filters: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let filters = filters.primitive().clone();
        let parents = [&input, &alpha, &beta];
        let [of_input, of_alpha, of_beta] = parents.map(|parent| parent.primitive().clone());
        let output = Flex::snake_kernel(of_input, of_alpha, of_beta, filters.clone());
        match SnakeBackward.prepare::<C>(parents.map(<FloatTensor<Self>>::node)).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (parents.map(|parent| prep.checkpoint(parent)), taps(filters));
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
