//! A residual connection with a gate, in one pass over memory each way.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::fresh::in_pieces;
use super::has_kernels;
use super::primitive::{Contiguous, tensor};
use super::simd::vectorised;

/// `residual` + `gate` · `branch`, the gate the same at every position, with gradients for all.
///
/// # Shapes
///
/// `[batch, position, channel]`, `[batch, channel]`, as the first → as the first
///
/// # Panics
///
/// If the shapes do not fit each other.
pub fn gated_sum(residual: Tensor<3>, gate: Tensor<2>, branch: Tensor<3>) -> Tensor<3> {
    let shape @ [batch, _, channels] = residual.dims();
    assert_eq!((branch.dims(), gate.dims()), (shape, [batch, channels]), "branch and gate of a residual");
    if has_kernels(&residual) && !shape.contains(&0) {
        let [residual, branch] = [residual, branch].map(Tensor::into_dispatch);
        return Tensor::from_dispatch(Dispatch::gated_sum_kernel(residual, gate.into_dispatch(), branch));
    }
    residual + gate.unsqueeze_dim::<3>(1) * branch
}

/// The gated sum as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
trait GatedSumKernel: Backend {
    fn gated_sum_kernel(
        residual: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        branch: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl GatedSumKernel for Flex {
    fn gated_sum_kernel(residual: FlexTensor, gate: FlexTensor, branch: FlexTensor) -> FlexTensor {
        let [residual, gate, branch] = [residual, gate, branch].map(Contiguous::new);
        let shape @ [_, positions, channels] = residual.shape();
        let item = positions * channels;
        let (output, _) = in_pieces(residual.values().len(), item, |index, place| {
            let gate = &gate.values()[index * channels..][..channels];
            let [residual, branch] =
                [&residual, &branch].map(|all| all.values()[index * item..][..item].chunks_exact(channels));
            vectorised(
                #[inline(always)]
                || {
                    for (residual, branch) in residual.zip(branch) {
                        let values = residual.iter().zip(gate.iter().zip(branch));
                        place.append(values.map(|(residual, (gate, branch))| gate.mul_add(*branch, *residual)));
                    }
                },
            );
        });
        tensor(output, shape)
    }
}

/// The gradients of branch and gate.
fn backward(gradient: &[f32], gate: &[f32], branch: &[f32], [positions, channels]: [usize; 2]) -> [Vec<f32>; 2] {
    let item = positions * channels;
    let (of_branch, of_gate) = in_pieces(branch.len(), item, |index, place| {
        let gate = &gate[index * channels..][..channels];
        let [gradient, branch] = [gradient, branch].map(|all| all[index * item..][..item].chunks_exact(channels));
        let mut of_gate = vec![0.0f32; channels];
        vectorised(
            #[inline(always)]
            || {
                for (gradient, branch) in gradient.zip(branch) {
                    for (sum, (gradient, branch)) in of_gate.iter_mut().zip(gradient.iter().zip(branch)) {
                        *sum = gradient.mul_add(*branch, *sum);
                    }
                    place.append(gradient.iter().zip(gate).map(|(gradient, gate)| gradient * gate));
                }
            },
        );
        of_gate
    });
    [of_branch, of_gate.concat()]
}

/// The backward step; its parents are residual, gate and branch.
#[derive(Debug)]
struct GatedSumBackward;

impl Backward<Flex, 3> for GatedSumBackward {
    /// Gate and branch, as burn keeps or recomputes them.
    type State = [NodeId; 2];

    fn backward(self, ops: Ops<[NodeId; 2], 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let [gate, branch] =
            ops.state.map(|parent| Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(parent)));
        let shape @ [batch, positions, channels] = branch.shape();
        let [of_residual, gated @ ..] = ops.parents;
        if gated.iter().any(Option::is_some) {
            let (size, values) = ([positions, channels], gradient.values());
            let [of_branch, of_gate] = backward(values, gate.values(), branch.values(), size);
            let found = [tensor(of_gate, [batch, channels]), tensor(of_branch, shape)];
            for (node, found) in gated.into_iter().zip(found) {
                if let Some(node) = node {
                    gradients.register::<Flex>(node.id, found);
                }
            }
        }
        if let Some(node) = of_residual {
            gradients.register::<Flex>(node.id, gradient.into_tensor());
        }
    }
}

impl<C: CheckpointStrategy> GatedSumKernel for Autodiff<Flex, C> {
    fn gated_sum_kernel(
        residual: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        branch: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let parents = [&residual, &gate, &branch];
        let [of_residual, of_gate, of_branch] = parents.map(|parent| parent.primitive().clone());
        let output = Flex::gated_sum_kernel(of_residual, of_gate, of_branch);
        match GatedSumBackward.prepare::<C>(parents.map(<FloatTensor<Self>>::node)).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = [&gate, &branch].map(|parent| prep.checkpoint(parent));
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
