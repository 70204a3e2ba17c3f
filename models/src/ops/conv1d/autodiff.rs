use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::bias_gradient::bias_gradient;
use super::correlate::{to_coarse, to_fine};
use super::geometry::{Direction, Geometry};
use super::weight_gradient::weight_gradient;
use super::winograd::Filter;
use crate::ops::primitive::{Contiguous, tensor};

/// Convolution and transposed convolution as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
pub(in crate::ops) trait Conv1dKernel: Backend {
    fn conv1d_kernel(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
        direction: Direction,
    ) -> FloatTensor<Self>;
}

fn run(g: &Geometry, direction: Direction, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    match (Filter::new(g, direction), direction) {
        (Some(filter), _) => filter.run(input, weight, bias),
        (None, Direction::ToCoarse) => to_coarse(g, input, weight, bias),
        (None, Direction::ToFine) => to_fine(g, input, weight, bias),
    }
}

impl Conv1dKernel for Flex {
    fn conv1d_kernel(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        g: Geometry,
        direction: Direction,
    ) -> FlexTensor {
        let [input, weight, bias] = [input, weight, bias].map(Contiguous::new);
        let output = run(&g, direction, input.values(), weight.values(), Some(bias.values()));
        let made = g.made(direction);
        tensor(output, [g.batch, made.channels, made.length])
    }
}

/// The backward step; its parents are input, weights and bias.
#[derive(Debug)]
struct Conv1dBackward;

/// Input and weights, as burn keeps or recomputes them.
type State = (NodeId, NodeId, Geometry, Direction);

impl Backward<Flex, 3> for Conv1dBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let (input, weight, g, direction) = ops.state;
        let input = Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(input));
        let weight = Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(weight));
        let [of_input, of_weight, of_bias] = ops.parents;
        if let Some(node) = of_input {
            let found = run(&g, direction.reversed(), gradient.values(), weight.values(), None);
            gradients.register::<Flex>(node.id, tensor(found, input.shape::<3>()));
        }
        if let Some(node) = of_weight {
            let (fine, coarse) = match direction {
                Direction::ToCoarse => (&input, &gradient),
                Direction::ToFine => (&gradient, &input),
            };
            let found = weight_gradient(&g, fine.values(), coarse.values());
            gradients.register::<Flex>(node.id, tensor(found, weight.shape::<3>()));
        }
        if let Some(node) = of_bias {
            let made = g.made(direction);
            let found = bias_gradient(made, gradient.values());
            gradients.register::<Flex>(node.id, tensor(found, [made.channels]));
        }
    }
}

impl<C: CheckpointStrategy> Conv1dKernel for Autodiff<Flex, C> {
    fn conv1d_kernel(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
        direction: Direction,
    ) -> FloatTensor<Self> {
        let parents = [input.node(), weight.node(), bias.node()];
        let primitives = [&input, &weight, &bias].map(|tensor| tensor.primitive().clone());
        let [of_input, of_weight, of_bias] = primitives;
        let output = Flex::conv1d_kernel(of_input, of_weight, of_bias, geometry, direction);
        match Conv1dBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&input), prep.checkpoint(&weight), geometry, direction);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
