use std::fmt::{self, Debug, Formatter};

#[cfg(feature = "cuda")]
use burn::backend::Cube;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{CheckpointStrategy, NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, DispatchKindConversion, DispatchTensor, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::Shape;

/// A block as one step of backward.
#[backend_extension(Flex, Cube: cfg(feature = "cuda"), Autodiff)]
pub(super) trait RecomputeKernel: Backend {
    /// `chain` with `parent` behind it, so that a step may have any number of parents. Notes the parent in `parents`, and
    /// whether its gradient ends there.
    fn joined(
        chain: FloatTensor<Self>,
        parent: FloatTensor<Self>,
        endpoint: bool,
        parents: &mut Vec<Parent>,
    ) -> FloatTensor<Self>;

    /// `output` as what came of `hidden` and of the parents in `chain`.
    fn recomputed(
        hidden: FloatTensor<Self>,
        chain: FloatTensor<Self>,
        output: FloatTensor<Self>,
        again: Again,
    ) -> FloatTensor<Self>;
}

/// A tensor that a block's gradient goes to: its node, and whether this keeps its gradient instead of passing it on.
type Parent = (NodeId, bool);

/// How a block is run again, and whose gradients that gives.
pub(super) struct Again {
    pub run: Box<dyn FnOnce() -> Rerun + Send>,
    /// Whether the gradient of the block's `hidden` ends there.
    pub endpoint: bool,
    /// In the order of [`Rerun::others`].
    pub others: Vec<Parent>,
}

/// A second run: the output, and the leaves of its graph.
pub(super) struct Rerun {
    pub output: DispatchTensor,
    pub hidden: DispatchTensor,
    pub others: Vec<DispatchTensor>,
}

impl Debug for Again {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Again").field("others", &self.others).finish_non_exhaustive()
    }
}

/// Outside of autodiff nothing has parents.
macro_rules! without_graph {
    ($backend:ty) => {
        impl RecomputeKernel for $backend {
            fn joined(
                chain: FloatTensor<Self>,
                _: FloatTensor<Self>,
                _: bool,
                _: &mut Vec<Parent>,
            ) -> FloatTensor<Self> {
                chain
            }

            fn recomputed(
                _: FloatTensor<Self>,
                _: FloatTensor<Self>,
                output: FloatTensor<Self>,
                _: Again,
            ) -> FloatTensor<Self> {
                output
            }
        }
    };
}

without_graph!(Flex);
#[cfg(feature = "cuda")]
without_graph!(Cube);

impl<B: Backend, C: CheckpointStrategy> RecomputeKernel for Autodiff<B, C>
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    fn joined(
        chain: FloatTensor<Self>,
        parent: FloatTensor<Self>,
        endpoint: bool,
        parents: &mut Vec<Parent>,
    ) -> FloatTensor<Self> {
        parents.push((parent.id(), endpoint));
        let nodes = [chain.node(), parent.node()];
        Backward::<B, 2>::prepare::<C>(Join, nodes).compute_bound().stateless(chain.into_primitive())
    }

    fn recomputed(
        hidden: FloatTensor<Self>,
        chain: FloatTensor<Self>,
        output: FloatTensor<Self>,
        again: Again,
    ) -> FloatTensor<Self> {
        let nodes = [hidden.node(), chain.node()];
        Backward::<B, 2>::prepare::<C>(Recompute(again), nodes).compute_bound().stateless(output.into_primitive())
    }
}

/// Two nodes as one; gets no gradient, since [`Recompute`] gives it to the nodes themselves.
#[derive(Debug)]
struct Join;

impl<B: Backend> Backward<B, 2> for Join {
    type State = ();

    fn backward(self, _: Ops<(), 2>, _: &mut Gradients, _: &mut Checkpointer) {}
}

/// The backward step of a block; its parents are `hidden` and the chain of all others.
#[derive(Debug)]
struct Recompute(Again);

impl<B: Backend> Backward<B, 2> for Recompute
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    type State = ();

    fn backward(self, ops: Ops<(), 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Again { run, endpoint, others } = self.0;
        let gradient = gradients.consume::<B>(&ops.node);
        let rerun = run();
        let [output, hidden] = [rerun.output, rerun.hidden].map(tracked::<B>);
        let leaves: Vec<_> = rerun.others.into_iter().map(tracked::<B>).collect();

        let [parent, _] = ops.parents;
        // The parts of later blocks come first in the sum, as without recomputation.
        let mut later = None;
        if let Some(node) = &parent
            && !endpoint
        {
            let shape = hidden.shape();
            gradients.register::<B>(node.id, neutral::<B>(hidden.primitive(), vec![1; shape.num_dims()].into()));
            let sum = gradients.consume::<B>(node);
            later = (sum.shape() == shape).then(|| (hidden.id(), sum));
        }

        let mut found = backward::<B>(output, Seed { gradient, later });
        let hidden = parent.map(|node| ((node.id, endpoint), hidden));
        for ((id, endpoint), leaf) in hidden.into_iter().chain(others.into_iter().zip(leaves)) {
            match found.remove::<B>(&leaf) {
                Some(gradient) => gradients.register::<B>(id, gradient),
                // The step that made it wants a gradient.
                None if !endpoint => gradients.register::<B>(id, neutral::<B>(leaf.primitive(), leaf.shape())),
                None => {}
            }
        }
    }
}

/// What changes nothing when it is added: not even the sign of a zero. Takes no memory.
fn neutral<B: Backend>(like: &FloatTensor<B>, shape: Shape) -> FloatTensor<B> {
    let one = Shape::from(vec![1; shape.num_dims()]);
    B::float_expand(B::float_full(one, (-0.0f32).into(), &like.device(), like.dtype().into()), shape)
}

fn tracked<B: Backend>(tensor: DispatchTensor) -> FloatTensor<Autodiff<B>>
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    let tensor = <DispatchTensor as DispatchKindConversion<Autodiff<B>>>::try_into_backend(tensor);
    tensor.expect("a block that stays on its device").float()
}

/// Goes back from `output` with the gradient of `seed`, instead of ones.
fn backward<B: Backend>(output: FloatTensor<Autodiff<B>>, seed: Seed<B>) -> Gradients {
    let nodes = [output.node()];
    let root = neutral::<B>(output.primitive(), [1].into());
    drop(output);
    match seed.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((), root),
        OpsKind::UnTracked(prep) => prep.finish(root),
    }
    .backward()
}

/// Where backward through a second run begins.
#[derive(Debug)]
struct Seed<B: Backend> {
    /// Of the output.
    gradient: FloatTensor<B>,
    /// What the gradient of a leaf begins with.
    later: Option<(NodeId, FloatTensor<B>)>,
}

impl<B: Backend> Backward<B, 1> for Seed<B> {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        gradients.consume::<B>(&ops.node);
        if let Some((leaf, gradient)) = self.later {
            gradients.register::<B>(leaf, gradient);
        }
        let [output] = ops.parents;
        if let Some(node) = output {
            gradients.register::<B>(node.id, self.gradient);
        }
    }
}
