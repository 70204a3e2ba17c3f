use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::forward::forward;
use super::gradients::{Given, backward};
use super::shape::{Bias, Shape, Softmax};
use crate::ops::primitive::{Contiguous, tensor};

/// Attention as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
pub(super) trait AttentionKernel: Backend {
    fn attention_kernel(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: usize,
        scale: f64,
        causal: bool,
    ) -> FloatTensor<Self>;

    fn biased_attention_kernel(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        scale: f64,
        causal: bool,
    ) -> FloatTensor<Self>;
}

/// The parts of a [`Shape`] that the tensors do not tell.
#[derive(Clone, Copy, Debug)]
struct Rules {
    heads: usize,
    scale: f64,
    causal: bool,
}

/// The tensors that go in.
struct Inputs {
    query: Contiguous,
    key: Contiguous,
    value: Contiguous,
    bias: Option<Contiguous>,
}

impl Inputs {
    /// From queries, keys, values and, if there is one, a bias.
    fn new<const N: usize>(tensors: [FlexTensor; N]) -> Self {
        let mut tensors = tensors.into_iter().map(Contiguous::new);
        let mut next = || tensors.next().expect("queries, keys and values");
        Self { query: next(), key: next(), value: next(), bias: tensors.next() }
    }

    fn shape(&self, Rules { heads, scale, causal }: Rules) -> Shape {
        let [batch, queries, channels] = self.query.shape();
        let [_, keys, _] = self.key.shape();
        Shape { batch, queries, keys, heads, width: channels / heads, scale: scale as f32, causal }
    }

    fn bias(&self) -> Option<Bias<'_>> {
        self.bias.as_ref().map(|bias| Bias { values: bias.values(), shape: bias.shape() })
    }

    fn attend(&self, rules: Rules) -> (FlexTensor, Vec<Softmax>) {
        let values = [&self.query, &self.key, &self.value].map(Contiguous::values);
        let (output, softmax) = forward(&self.shape(rules), values, self.bias());
        (tensor(output, self.query.shape::<3>()), softmax)
    }
}

impl AttentionKernel for Flex {
    fn attention_kernel(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        heads: usize,
        scale: f64,
        causal: bool,
    ) -> FlexTensor {
        Inputs::new([query, key, value]).attend(Rules { heads, scale, causal }).0
    }

    fn biased_attention_kernel(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        bias: FlexTensor,
        heads: usize,
        scale: f64,
        causal: bool,
    ) -> FlexTensor {
        Inputs::new([query, key, value, bias]).attend(Rules { heads, scale, causal }).0
    }
}

/// The backward step; its parents are queries, keys, values and, if there is one, the bias.
#[derive(Debug)]
struct AttentionBackward;

/// What the backward step needs.
#[derive(Clone, Debug)]
struct State<const N: usize> {
    /// As burn keeps or recomputes them.
    parents: [NodeId; N],
    output: Contiguous,
    softmax: Arc<[Softmax]>,
    rules: Rules,
}

impl<const N: usize> Backward<Flex, N> for AttentionBackward {
    type State = State<N>;

    fn backward(self, ops: Ops<State<N>, N>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let State { parents, output, softmax, rules } = ops.state;
        let inputs = Inputs::new(parents.map(|parent| checkpointer.retrieve_node_output::<FlexTensor>(parent)));
        let given = Given {
            gradient: gradient.values(),
            output: output.values(),
            query: inputs.query.values(),
            key: inputs.key.values(),
            value: inputs.value.values(),
            bias: inputs.bias(),
            softmax: &softmax,
        };
        let with_bias = ops.parents.get(3).is_some_and(Option::is_some);
        let found = backward(&inputs.shape(rules), &given, with_bias);
        let shapes = [&inputs.query, &inputs.key, &inputs.value].map(Contiguous::shape::<3>);
        for ((parent, found), shape) in ops.parents.iter().zip([found.query, found.key, found.value]).zip(shapes) {
            if let Some(node) = parent {
                gradients.register::<Flex>(node.id, tensor(found, shape));
            }
        }
        if let (Some(Some(node)), Some(bias)) = (ops.parents.get(3), &inputs.bias) {
            gradients.register::<Flex>(node.id, tensor(found.bias, bias.shape::<4>()));
        }
    }
}

/// Runs the operation and leaves its backward step where one of `parents` needs a gradient.
fn tracked<C: CheckpointStrategy, const N: usize>(
    parents: [&FloatTensor<Autodiff<Flex, C>>; N],
    rules: Rules,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (output, softmax) = Inputs::new(parents.map(|parent| parent.primitive().clone())).attend(rules);
    let nodes = parents.map(<FloatTensor<Autodiff<Flex, C>>>::node);
    match AttentionBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let parents = parents.map(|parent| prep.checkpoint(parent));
            let state = State { parents, output: Contiguous::new(output.clone()), softmax: softmax.into(), rules };
            prep.finish(state, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

impl<C: CheckpointStrategy> AttentionKernel for Autodiff<Flex, C> {
    fn attention_kernel(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: usize,
        scale: f64,
        causal: bool,
    ) -> FloatTensor<Self> {
        tracked::<C, 3>([&query, &key, &value], Rules { heads, scale, causal })
    }

    fn biased_attention_kernel(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        scale: f64,
        causal: bool,
    ) -> FloatTensor<Self> {
        tracked::<C, 4>([&query, &key, &value, &bias], Rules { heads, scale, causal })
    }
}
