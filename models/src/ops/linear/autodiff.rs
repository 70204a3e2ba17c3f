use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::kernels::{self, Layout};
use crate::ops::primitive::{Contiguous, tensor};

/// Rows times weights, plus bias, as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
pub(super) trait FewRowsKernel: Backend {
    fn few_rows_kernel(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Weights where they lie.
struct Weights {
    values: Contiguous,
    layout: Layout,
    shape: [usize; 2],
}

impl Weights {
    fn new(weight: FlexTensor) -> Self {
        let turned = weight.transpose(0, 1);
        if !weight.is_contiguous() && turned.is_contiguous() {
            let values = Contiguous::new(turned);
            let [outer, inner] = values.shape();
            return Self { values, layout: Layout::Columns, shape: [inner, outer] };
        }
        let values = Contiguous::new(weight);
        let shape = values.shape();
        Self { values, layout: Layout::Rows, shape }
    }
}

impl FewRowsKernel for Flex {
    fn few_rows_kernel(input: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let (input, weight, bias) = (Contiguous::new(input), Weights::new(weight), Contiguous::new(bias));
        let bias = Some(bias.values());
        let output = kernels::product(input.values(), weight.values.values(), weight.layout, weight.shape, bias);
        tensor(output, [input.shape::<2>()[0], weight.shape[1]])
    }
}

/// The backward step; its parents are input, weights and bias.
#[derive(Debug)]
struct FewRowsBackward;

/// Input and weights, as burn keeps or recomputes them.
type State = [NodeId; 2];

impl Backward<Flex, 3> for FewRowsBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let [input, weight] = ops.state.map(|parent| checkpointer.retrieve_node_output::<FlexTensor>(parent));
        let (input, weight) = (Contiguous::new(input), Weights::new(weight));
        let [inner, outer] = weight.shape;
        let [of_input, of_weight, of_bias] = ops.parents;
        if let Some(node) = of_input {
            let layout = weight.layout.transposed();
            let found = kernels::product(gradient.values(), weight.values.values(), layout, [outer, inner], None);
            gradients.register::<Flex>(node.id, tensor(found, input.shape::<2>()));
        }
        if let Some(node) = of_weight {
            // It lies as the weights do.
            let found = match weight.layout {
                Layout::Rows => {
                    let found = kernels::outer_products(input.values(), gradient.values(), [inner, outer]);
                    tensor(found, [inner, outer])
                }
                Layout::Columns => {
                    let found = kernels::outer_products(gradient.values(), input.values(), [outer, inner]);
                    tensor(found, [outer, inner]).transpose(0, 1)
                }
            };
            gradients.register::<Flex>(node.id, found);
        }
        if let Some(node) = of_bias {
            gradients.register::<Flex>(node.id, tensor(kernels::sum_of_rows(gradient.values(), outer), [outer]));
        }
    }
}

impl<C: CheckpointStrategy> FewRowsKernel for Autodiff<Flex, C> {
    fn few_rows_kernel(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let parents = [&input, &weight, &bias];
        let [of_input, of_weight, of_bias] = parents.map(|parent| parent.primitive().clone());
        let output = Flex::few_rows_kernel(of_input, of_weight, of_bias);
        match FewRowsBackward.prepare::<C>(parents.map(<FloatTensor<Self>>::node)).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = [&input, &weight].map(|parent| prep.checkpoint(parent));
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
