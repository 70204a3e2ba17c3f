//! Gradient checkpointing by block: activations that backward makes again instead of finding them kept (Chen et al.,
//! "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174).
//!
//! Of a block only what goes into it is kept. In backward the block runs a second time, on copies that a graph of their
//! own begins with, and this graph gives the gradients of what went in and of the block's parameters. burn's own
//! checkpointing makes single cheap operations again and keeps the results of convolutions and matrix products.

mod autodiff;
mod tensors;

use std::iter::repeat;

use burn::backend::{Dispatch, DispatchTensor};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use autodiff::{Again, RecomputeKernel, Rerun};
pub use tensors::{Change, Tensors};

/// `forward(block, hidden, beside)`, keeping nothing but its arguments for backward.
///
/// Gradients are those without recomputation, bit for bit, as long as their parts are added in the same order: so they are
/// for `hidden`, and for everything that one operation of each block uses. What several operations of several blocks use
/// gets the parts of a block as one, and differs by rounding.
///
/// `forward` runs twice and must do the same both times: it draws no random numbers. What needs a gradient goes in by its
/// arguments; that of a tensor which it captures would be lost.
pub fn recompute<const D: usize, M, T>(
    block: M,
    hidden: Tensor<D>,
    beside: T,
    forward: impl Fn(&M, Tensor<D>, T) -> Tensor<D> + Send + 'static,
) -> Tensor<D>
where
    M: Module + 'static,
    T: Tensors,
{
    let mut kept = Detached::default();
    let (tracked, endpoint) = (hidden.is_tracked(), hidden.is_require_grad());
    let inner = Arguments {
        hidden: hidden.clone().without_autodiff(),
        beside: beside.clone().changed(&mut kept),
        block: block.clone().map(&mut OnParameters(&mut kept)),
    };
    let Detached { tracks, parents } = kept;
    if !tracked && parents.is_empty() {
        return forward(&block, hidden, beside);
    }
    // Without gradients, but as in the second run: autodiff chooses other operations in places.
    let output = inner.clone().run(&forward, false, repeat(false)).output;
    let output = Tensor::<D>::from_dispatch(output).without_autodiff();

    // As a walk from the loss backwards finds them without recomputation: parameters, what is beside, `hidden`. It
    // decides in which order the parts of other gradients are added.
    let hidden = hidden.into_dispatch();
    let mut others = Vec::new();
    let chain = parents
        .into_iter()
        .fold(hidden.clone(), |chain, (parent, endpoint)| Dispatch::joined(chain, parent, endpoint, &mut others));
    let run = Box::new(move || inner.run(&forward, tracked, tracks.into_iter()));
    let again = Again { run, endpoint, others };
    Tensor::from_dispatch(Dispatch::recomputed(hidden, chain, output.into_dispatch(), again))
}

/// What a block is run with, out of the graph.
#[derive(Clone)]
struct Arguments<const D: usize, M, T> {
    hidden: Tensor<D>,
    beside: T,
    block: M,
}

impl<const D: usize, M: Module, T: Tensors> Arguments<D, M, T> {
    /// Runs it in a graph of its own, for the gradients of `hidden` and of all other tensors that `tracks` says.
    fn run(
        self,
        forward: &impl Fn(&M, Tensor<D>, T) -> Tensor<D>,
        tracked: bool,
        tracks: impl Iterator<Item = bool>,
    ) -> Rerun {
        let mut leaves = Leaves { tracks, leaves: Vec::new() };
        let hidden = self.hidden.autodiff().set_require_grad(tracked);
        let beside = self.beside.changed(&mut leaves);
        let block = self.block.map(&mut OnParameters(&mut leaves));
        let output = forward(&block, hidden.clone(), beside).into_dispatch();
        Rerun { output, hidden: hidden.into_dispatch(), others: leaves.leaves }
    }
}

/// Takes tensors out of the graph and remembers those that were in it.
#[derive(Default)]
struct Detached {
    tracks: Vec<bool>,
    /// Each that is in the graph, and whether its gradient ends there.
    parents: Vec<(DispatchTensor, bool)>,
}

impl Change for Detached {
    fn change<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
        let tracked = tensor.is_tracked();
        self.tracks.push(tracked);
        if tracked {
            self.parents.push((tensor.clone().into_dispatch(), tensor.is_require_grad()));
        }
        tensor.without_autodiff()
    }
}

/// Begins a graph with the same tensors.
struct Leaves<I> {
    tracks: I,
    leaves: Vec<DispatchTensor>,
}

impl<I: Iterator<Item = bool>> Change for Leaves<I> {
    fn change<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
        let tracked = self.tracks.next().expect("as many tensors as before");
        let leaf = tensor.autodiff().set_require_grad(tracked);
        if tracked {
            self.leaves.push(leaf.clone().into_dispatch());
        }
        leaf
    }
}

struct OnParameters<'a, C>(&'a mut C);

impl<C: Change> ModuleMapper for OnParameters<'_, C> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| self.0.change(tensor))
    }
}
