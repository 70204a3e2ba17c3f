use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::kernels::{self, Heads};
use crate::ops::primitive::{Contiguous, tensor};

/// Attention as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
pub(super) trait AttentionKernel: Backend {
    fn attention_kernel(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self>;
}

fn run(tensors: [FlexTensor; 3], count: usize) -> (FlexTensor, Arc<[f32]>, Heads) {
    let [query, key, value] = tensors.map(Contiguous::new);
    let shape @ [_, positions, channels] = query.shape();
    let heads = Heads { positions, channels, count };
    let (output, logarithms) = kernels::forward(&heads, query.values(), key.values(), value.values());
    (tensor(output, shape), logarithms.into(), heads)
}

impl AttentionKernel for Flex {
    fn attention_kernel(query: FlexTensor, key: FlexTensor, value: FlexTensor, heads: usize) -> FlexTensor {
        run([query, key, value], heads).0
    }
}

/// The backward step; its parents are queries, keys and values.
#[derive(Debug)]
struct AttentionBackward;

/// What the backward step needs.
#[derive(Clone, Debug)]
struct State {
    /// As burn keeps or recomputes them.
    parents: [NodeId; 3],
    output: Contiguous,
    logarithms: Arc<[f32]>,
    heads: Heads,
}

impl Backward<Flex, 3> for AttentionBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let State { parents, output, logarithms, heads } = ops.state;
        let inputs = parents.map(|parent| Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(parent)));
        let shape: [usize; 3] = output.shape();
        let values = inputs.each_ref().map(Contiguous::values);
        let found = kernels::backward(&heads, gradient.values(), output.values(), values, &logarithms);
        for (parent, found) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<Flex>(node.id, tensor(found, shape));
            }
        }
    }
}

impl<C: CheckpointStrategy> AttentionKernel for Autodiff<Flex, C> {
    fn attention_kernel(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let parents = [&query, &key, &value];
        let (output, logarithms, heads) = run(parents.map(|parent| parent.primitive().clone()), heads);
        match AttentionBackward.prepare::<C>(parents.map(<FloatTensor<Self>>::node)).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let parents = parents.map(|parent| prep.checkpoint(parent));
                let state = State { parents, output: Contiguous::new(output.clone()), logarithms, heads };
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
