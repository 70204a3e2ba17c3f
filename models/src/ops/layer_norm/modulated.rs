//! Layer normalisation whose scale and shift each item of a batch has for itself.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use rayon::prelude::*;

use super::kernels::{self, Norm};
use crate::ops::primitive::{Contiguous, tensor};
use crate::ops::simd::Normaliser;

/// Normalisation of an item's rows as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
pub(super) trait ModulatedNormKernel: Backend {
    fn modulated_norm_kernel(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
}

/// The part of every item.
fn items(values: &Contiguous, batch: usize) -> impl IndexedParallelIterator<Item = &[f32]> {
    let values = values.values();
    values.par_chunks_exact(values.len() / batch)
}

fn run(tensors: [FlexTensor; 3], epsilon: f64) -> (FlexTensor, Arc<[Vec<Normaliser>]>, Norm) {
    let [input, scale, shift] = tensors.map(Contiguous::new);
    let shape @ [batch, _, width] = input.shape();
    let norm = Norm { width, epsilon, centred: true };
    let affine = items(&scale, batch).zip(items(&shift, batch));
    let (outputs, normalisers): (Vec<_>, Vec<_>) = items(&input, batch)
        .zip(affine)
        .map(|(input, (scale, shift))| kernels::forward(&norm, input, scale, shift))
        .unzip();
    (tensor(outputs.concat(), shape), normalisers.into(), norm)
}

impl ModulatedNormKernel for Flex {
    fn modulated_norm_kernel(input: FlexTensor, scale: FlexTensor, shift: FlexTensor, epsilon: f64) -> FlexTensor {
        run([input, scale, shift], epsilon).0
    }
}

/// The backward step; its parents are input, scale and shift.
#[derive(Debug)]
struct ModulatedNormBackward;

/// Input and scale, as burn keeps or recomputes them, and every row's normaliser.
type State = ([NodeId; 2], Arc<[Vec<Normaliser>]>, Norm);

impl Backward<Flex, 3> for ModulatedNormBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let (parents, normalisers, norm) = ops.state;
        let [input, scale] =
            parents.map(|parent| Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(parent)));
        let shape @ [batch, _, width] = input.shape();
        let found: Vec<_> = items(&gradient, batch)
            .zip(items(&input, batch))
            .zip(items(&scale, batch).zip(normalisers.par_iter()))
            .map(|((gradient, input), (scale, normalisers))| {
                kernels::backward(&norm, gradient, input, scale, normalisers)
            })
            .collect();
        let whole = |part: fn(&kernels::Gradients) -> &Vec<f32>| {
            found.iter().map(part).map(Vec::as_slice).collect::<Vec<_>>().concat()
        };
        let [of_input, of_scale, of_shift] = ops.parents;
        if let Some(node) = of_input {
            gradients.register::<Flex>(node.id, tensor(whole(|found| &found.input), shape));
        }
        if let Some(node) = of_scale {
            gradients.register::<Flex>(node.id, tensor(whole(|found| &found.scale), [batch, width]));
        }
        if let Some(node) = of_shift {
            gradients.register::<Flex>(node.id, tensor(whole(|found| &found.shift), [batch, width]));
        }
    }
}

impl<C: CheckpointStrategy> ModulatedNormKernel for Autodiff<Flex, C> {
    fn modulated_norm_kernel(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let parents = [&input, &scale, &shift];
        let (output, normalisers, norm) = run(parents.map(|parent| parent.primitive().clone()), epsilon);
        match ModulatedNormBackward.prepare::<C>(parents.map(<FloatTensor<Self>>::node)).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = ([&input, &scale].map(|parent| prep.checkpoint(parent)), normalisers, norm);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
