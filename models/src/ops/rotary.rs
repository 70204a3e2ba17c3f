//! Rotary positions, in one pass over memory each way.

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

/// Turns the pairs (i, i + half) of every head's channels by the angles of their position (Su et al., "`RoFormer`",
/// arXiv 2104.09864), with a gradient for `input`. `table` holds the cosines, then the sines of a head's pairs.
///
/// # Shapes
///
/// `[batch, position, channel]`, `[position, channel of a head]` → the same as the first
///
/// # Panics
///
/// If the shapes do not fit each other.
pub fn rotary(input: Tensor<3>, table: Tensor<2>) -> Tensor<3> {
    let shape @ [batch, positions, channels] = input.dims();
    let [rows, width] = table.dims();
    assert!(
        rows == positions && width > 0 && width.is_multiple_of(2) && channels.is_multiple_of(width),
        "a table of {:?} for an input of {shape:?}",
        table.dims()
    );
    if has_kernels(&input) {
        return Tensor::from_dispatch(Dispatch::rotary_kernel(input.into_dispatch(), table.into_dispatch()));
    }
    let half = width / 2;
    let part = |start| table.clone().narrow(1, start, half).cast(input.dtype()).reshape([1, positions, 1, half]);
    let (cosine, sine) = (part(0), part(half));
    let heads: Tensor<4> = input.reshape([batch, positions, channels / width, width]);
    let (first, second) = (heads.clone().narrow(3, 0, half), heads.narrow(3, half, half));
    let turned = vec![first.clone() * cosine.clone() - second.clone() * sine.clone(), second * cosine + first * sine];
    Tensor::cat(turned, 3).reshape(shape)
}

/// The turning as one operation with a handwritten gradient.
#[backend_extension(Flex, Autodiff)]
trait RotaryKernel: Backend {
    fn rotary_kernel(input: FloatTensor<Self>, table: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Turns by the angles of `table` times `direction`, 1 or −1.
fn turn(input: &Contiguous, table: &Contiguous, direction: f32) -> FlexTensor {
    let shape @ [_, positions, channels] = input.shape();
    let [_, width] = table.shape();
    let (half, values, table) = (width / 2, input.values(), table.values());
    let rows = (1usize << 14).div_ceil(channels);
    let (output, _) = in_pieces(values.len(), rows * channels, |index, place| {
        let lines = values[index * rows * channels..].chunks_exact(channels).take(rows);
        vectorised(
            #[inline(always)]
            || {
                for (row, line) in lines.enumerate() {
                    let angles = &table[(index * rows + row) % positions * width..][..width];
                    let (cosines, sines) = angles.split_at(half);
                    for head in line.chunks_exact(width) {
                        let (first, second) = head.split_at(half);
                        let turned =
                            |ahead: &[f32], aside: &[f32], sign: f32, place: &mut super::fresh::Fresh| {
                                let pairs = ahead.iter().zip(aside).zip(cosines.iter().zip(sines));
                                place.append(pairs.map(|((ahead, aside), (cosine, sine))| {
                                    ahead.mul_add(*cosine, sign * aside * sine)
                                }));
                            };
                        turned(first, second, -direction, place);
                        turned(second, first, direction, place);
                    }
                }
            },
        );
    });
    tensor(output, shape)
}

impl RotaryKernel for Flex {
    fn rotary_kernel(input: FlexTensor, table: FlexTensor) -> FlexTensor {
        turn(&Contiguous::new(input), &Contiguous::new(table), 1.0)
    }
}

/// The backward step turns back; its parent is the input, its state the table.
#[derive(Debug)]
struct RotaryBackward;

impl Backward<Flex, 1> for RotaryBackward {
    type State = Contiguous;

    fn backward(self, ops: Ops<Contiguous, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = Contiguous::new(gradients.consume::<Flex>(&ops.node));
        if let [Some(node)] = ops.parents {
            gradients.register::<Flex>(node.id, turn(&gradient, &ops.state, -1.0));
        }
    }
}

impl<C: CheckpointStrategy> RotaryKernel for Autodiff<Flex, C> {
    fn rotary_kernel(input: FloatTensor<Self>, table: FloatTensor<Self>) -> FloatTensor<Self> {
        let table = Contiguous::new(table.primitive().clone());
        let output = turn(&Contiguous::new(input.primitive().clone()), &table, 1.0);
        match RotaryBackward.prepare::<C>([input.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(table, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
