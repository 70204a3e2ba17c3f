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

/// Group normalisation as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
pub(super) trait GroupNormKernel: Backend {
    fn group_norm_kernel(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        silu: bool,
    ) -> FloatTensor<Self>;
}

fn run(tensors: [FlexTensor; 3], groups: usize, epsilon: f64, silu: bool) -> (FlexTensor, Arc<[Normaliser]>, Norm) {
    let [input, scale, shift] = tensors.map(Contiguous::new);
    let shape @ [batch, channels, height, width] = input.shape();
    let norm = Norm { shape: [batch, channels, height * width], groups, epsilon, silu };
    let (output, normalisers) = kernels::forward(&norm, input.values(), scale.values(), shift.values());
    (tensor(output, shape), normalisers.into(), norm)
}

impl GroupNormKernel for Flex {
    fn group_norm_kernel(
        input: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        groups: usize,
        epsilon: f64,
        silu: bool,
    ) -> FlexTensor {
        run([input, scale, shift], groups, epsilon, silu).0
    }
}

/// The backward step; its parents are input, scale and shift.
#[derive(Debug)]
struct GroupNormBackward;

/// The parents, as burn keeps or recomputes them, and every group's normaliser.
type State = ([NodeId; 3], Arc<[Normaliser]>, Norm);

impl Backward<Flex, 3> for GroupNormBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let (parents, normalisers, norm) = ops.state;
        let [input, scale, shift] =
            parents.map(|parent| Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(parent)));
        let affine = [scale.values(), shift.values()];
        let found = kernels::backward(&norm, gradient.values(), input.values(), affine, &normalisers);
        let [of_input, of_scale, of_shift] = ops.parents;
        let channels = [norm.shape[1]];
        if let Some(node) = of_input {
            gradients.register::<Flex>(node.id, tensor(found.input, input.shape::<4>()));
        }
        if let Some(node) = of_scale {
            gradients.register::<Flex>(node.id, tensor(found.scale, channels));
        }
        if let Some(node) = of_shift {
            gradients.register::<Flex>(node.id, tensor(found.shift, channels));
        }
    }
}

impl<C: CheckpointStrategy> GroupNormKernel for Autodiff<Flex, C> {
    fn group_norm_kernel(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        silu: bool,
    ) -> FloatTensor<Self> {
        let parents = [&input, &scale, &shift];
        let (output, normalisers, norm) = run(parents.map(|parent| parent.primitive().clone()), groups, epsilon, silu);
        match GroupNormBackward.prepare::<C>(parents.map(<FloatTensor<Self>>::node)).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (parents.map(|parent| prep.checkpoint(parent)), normalisers, norm);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
