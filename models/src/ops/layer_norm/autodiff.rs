use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::kernels::{self, Norm};
use crate::ops::primitive::{Contiguous, tensor};
use crate::ops::simd::Normaliser;

/// Normalisation of the rows of a matrix as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
pub(super) trait RowNormKernel: Backend {
    fn row_norm_kernel(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
        centred: bool,
    ) -> FloatTensor<Self>;
}

fn run(tensors: [FlexTensor; 3], epsilon: f64, centred: bool) -> (FlexTensor, Arc<[Normaliser]>, Norm) {
    let [input, scale, shift] = tensors.map(Contiguous::new);
    let shape @ [_, width] = input.shape();
    let norm = Norm { width, epsilon, centred };
    let (output, normalisers) = kernels::forward(&norm, input.values(), scale.values(), shift.values());
    (tensor(output, shape), normalisers.into(), norm)
}

impl RowNormKernel for Flex {
    fn row_norm_kernel(
        input: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        epsilon: f64,
        centred: bool,
    ) -> FlexTensor {
        run([input, scale, shift], epsilon, centred).0
    }
}

/// The backward step; its parents are input, scale and shift.
#[derive(Debug)]
struct RowNormBackward;

/// Input and scale, as burn keeps or recomputes them, and every row's normaliser.
type State = ([NodeId; 2], Arc<[Normaliser]>, Norm);

impl Backward<Flex, 3> for RowNormBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let (parents, normalisers, norm) = ops.state;
        let [input, scale] =
            parents.map(|parent| Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(parent)));
        let found = kernels::backward(&norm, gradient.values(), input.values(), scale.values(), &normalisers);
        let [of_input, of_scale, of_shift] = ops.parents;
        if let Some(node) = of_input {
            gradients.register::<Flex>(node.id, tensor(found.input, input.shape::<2>()));
        }
        if let Some(node) = of_scale {
            gradients.register::<Flex>(node.id, tensor(found.scale, [norm.width]));
        }
        if let Some(node) = of_shift {
            gradients.register::<Flex>(node.id, tensor(found.shift, [norm.width]));
        }
    }
}

impl<C: CheckpointStrategy> RowNormKernel for Autodiff<Flex, C> {
    fn row_norm_kernel(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
        centred: bool,
    ) -> FloatTensor<Self> {
        let parents = [&input, &scale, &shift];
        let (output, normalisers, norm) = run(parents.map(|parent| parent.primitive().clone()), epsilon, centred);
        match RowNormBackward.prepare::<C>(parents.map(<FloatTensor<Self>>::node)).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = ([&input, &scale].map(|parent| prep.checkpoint(parent)), normalisers, norm);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
