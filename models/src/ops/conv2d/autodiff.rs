use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use burn::tensor::ops::ConvOptions;

use super::geometry::Geometry;
use super::kernels;
use crate::ops::primitive::{Contiguous, tensor};

/// Convolution as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
pub(super) trait Conv2dKernel: Backend {
    fn conv2d_kernel(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self>;
}

impl Conv2dKernel for Flex {
    fn conv2d_kernel(input: FlexTensor, weight: FlexTensor, bias: FlexTensor, options: ConvOptions<2>) -> FlexTensor {
        let [input, weight, bias] = [input, weight, bias].map(Contiguous::new);
        let g = Geometry::new(input.shape(), weight.shape(), &options);
        let output = kernels::forward(&g, input.values(), weight.values(), bias.values());
        tensor(output, [g.batch, g.channels_out, g.output[0], g.output[1]])
    }
}

/// The backward step; its parents are input, weights and bias.
#[derive(Debug)]
struct Conv2dBackward;

/// Input and weights, as burn keeps or recomputes them.
type State = (NodeId, NodeId, ConvOptions<2>);

impl Backward<Flex, 3> for Conv2dBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let (input, weight, options) = ops.state;
        let input = Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(input));
        let weight = Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(weight));
        let g = Geometry::new(input.shape(), weight.shape(), &options);
        let [of_input, of_weight, of_bias] = ops.parents;
        if let Some(node) = of_input {
            let found = kernels::input_gradient(&g, gradient.values(), weight.values());
            gradients.register::<Flex>(node.id, tensor(found, input.shape::<4>()));
        }
        if let Some(node) = of_weight {
            let found = kernels::weight_gradient(&g, input.values(), gradient.values());
            gradients.register::<Flex>(node.id, tensor(found, weight.shape::<4>()));
        }
        if let Some(node) = of_bias {
            gradients
                .register::<Flex>(node.id, tensor(kernels::bias_gradient(&g, gradient.values()), [g.channels_out]));
        }
    }
}

impl<C: CheckpointStrategy> Conv2dKernel for Autodiff<Flex, C> {
    fn conv2d_kernel(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let parents = [input.node(), weight.node(), bias.node()];
        let output = Flex::conv2d_kernel(
            input.primitive().clone(),
            weight.primitive().clone(),
            bias.primitive().clone(),
            options.clone(),
        );
        match Conv2dBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&input), prep.checkpoint(&weight), options);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
