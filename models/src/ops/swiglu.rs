//! A gated linear unit's gate, in one pass over memory each way.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn::tensor::activation::silu;

use super::fresh::in_pieces;
use super::has_kernels;
use super::primitive::{Contiguous, tensor};
use super::simd::{self, sigmoid, vectorised};

/// `SiLU` of the first half of the last axis times the second half (Shazeer, "GLU Variants Improve Transformer", 2020),
/// with a gradient.
///
/// # Shapes
///
/// `[batch, position, 2 · width]` → `[batch, position, width]`
///
/// # Panics
///
/// If the last axis is odd.
pub fn swiglu(input: Tensor<3>) -> Tensor<3> {
    let [batch, positions, both] = input.dims();
    assert!(both.is_multiple_of(2), "two halves of {both}");
    let width = both / 2;
    if has_kernels(&input) && width > 0 {
        let rows = input.reshape([batch * positions, both]).into_dispatch();
        return Tensor::<2>::from_dispatch(Dispatch::swiglu_kernel(rows)).reshape([batch, positions, width]);
    }
    silu(input.clone().narrow(2, 0, width)) * input.narrow(2, width, width)
}

/// The gate as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
trait SwigluKernel: Backend {
    fn swiglu_kernel(input: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Rows that are one task.
fn rows_of_piece(width: usize) -> usize {
    (1usize << 14).div_ceil(width)
}

impl SwigluKernel for Flex {
    fn swiglu_kernel(input: FlexTensor) -> FlexTensor {
        let input = Contiguous::new(input);
        let ([rows, both], values) = (input.shape(), input.values());
        let (width, piece) = (both / 2, rows_of_piece(both / 2));
        let (output, _) = in_pieces(rows * width, piece * width, |index, place| {
            let rows = values[index * piece * both..].chunks_exact(both).take(piece);
            vectorised(
                #[inline(always)]
                || {
                    for row in rows {
                        let (gate, value) = row.split_at(width);
                        place.append(gate.iter().zip(value).map(|(gate, value)| simd::silu(*gate) * value));
                    }
                },
            );
        });
        tensor(output, [rows, width])
    }
}

/// The gradient of both halves.
fn backward(gradient: &[f32], input: &[f32], width: usize) -> Vec<f32> {
    let (both, piece) = (2 * width, rows_of_piece(width));
    let (output, _) = in_pieces(input.len(), piece * both, |index, place| {
        let gradients = gradient[index * piece * width..].chunks_exact(width).take(piece);
        let rows = gradients.zip(input[index * piece * both..].chunks_exact(both));
        vectorised(
            #[inline(always)]
            || {
                for (gradient, row) in rows {
                    let (gate, value) = row.split_at(width);
                    place.append(gate.iter().zip(value).zip(gradient).map(|((gate, value), gradient)| {
                        let open = sigmoid(*gate);
                        gradient * value * open * (gate * (1.0 - open) + 1.0)
                    }));
                    place.append(gate.iter().zip(gradient).map(|(gate, gradient)| simd::silu(*gate) * gradient));
                }
            },
        );
    });
    output
}

/// The backward step; its parent is the input, as burn keeps or recomputes it.
#[derive(Debug)]
struct SwigluBackward;

impl Backward<Flex, 1> for SwigluBackward {
    type State = NodeId;

    fn backward(self, ops: Ops<NodeId, 1>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        let input = Contiguous::new(checkpointer.retrieve_node_output::<FlexTensor>(ops.state));
        let shape @ [_, both] = input.shape();
        if let [Some(node)] = ops.parents {
            let found = backward(gradient.values(), input.values(), both / 2);
            gradients.register::<Flex>(node.id, tensor(found, shape));
        }
    }
}

impl<C: CheckpointStrategy> SwigluKernel for Autodiff<Flex, C> {
    fn swiglu_kernel(input: FloatTensor<Self>) -> FloatTensor<Self> {
        let output = Flex::swiglu_kernel(input.primitive().clone());
        match SwigluBackward.prepare::<C>([input.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = prep.checkpoint(&input);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
