//! Half and twice the size through a blur that keeps frequencies from folding: the filter 1, 3, 3, 1 (Karras et al.,
//! "Analyzing and Improving the Image Quality of StyleGAN", 2020, after Zhang, "Making Convolutional Networks
//! Shift-Invariant Again", 2019).

use burn::tensor::Tensor;

/// What lies beyond the edge of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Zeros: the `Fir` layers of diffusers.
    Zeros,
    /// The picture again, mirrored at its outermost pixels: the `K` layers.
    Mirror,
}

/// # Shapes
///
/// `[batch, channel, height, width]` → `[batch, channel, height / 2, width / 2]`, rounded down
///
/// # Panics
///
/// If a picture that is to be mirrored is one pixel high or wide.
pub(crate) fn halved(input: Tensor<4>, edge: Edge) -> Tensor<4> {
    [2, 3].into_iter().fold(input, |input, axis| {
        let half = input.dims()[axis] / 2;
        let [even, odd] = halves(padded(input, axis, edge), axis);
        let at = |pixels: &Tensor<4>, start| pixels.clone().narrow(axis, start, half);
        (at(&even, 0) + at(&odd, 1)) * 0.125 + (at(&odd, 0) + at(&even, 1)) * 0.375
    })
}

/// # Shapes
///
/// `[batch, channel, height, width]` → `[batch, channel, 2 · height, 2 · width]`
///
/// # Panics
///
/// If a picture that is to be mirrored is one pixel high or wide.
pub(crate) fn doubled(input: Tensor<4>, edge: Edge) -> Tensor<4> {
    [2, 3].into_iter().fold(input, |input, axis| {
        let mut shape = input.dims();
        let size = shape[axis];
        let padded = padded(input, axis, edge);
        let [before, here, behind] = [0, 1, 2].map(|start| padded.clone().narrow(axis, start, size));
        let near = here * 0.75;
        let pair =
            [before * 0.25 + near.clone(), near + behind * 0.25].map(|pixels| pixels.unsqueeze_dim::<5>(axis + 1));
        shape[axis] = 2 * size;
        Tensor::cat(pair.to_vec(), axis + 1).reshape(shape)
    })
}

/// One pixel more at both ends of an axis.
fn padded(input: Tensor<4>, axis: usize, edge: Edge) -> Tensor<4> {
    let size = input.dims()[axis];
    let [first, last] = match edge {
        Edge::Zeros => [(); 2].map(|()| input.clone().narrow(axis, 0, 1).zeros_like()),
        Edge::Mirror => [1, size - 2].map(|pixel| input.clone().narrow(axis, pixel, 1)),
    };
    Tensor::cat(vec![first, input, last], axis)
}

/// The pixels of even and those of odd places on an axis, as many of each.
fn halves(input: Tensor<4>, axis: usize) -> [Tensor<4>; 2] {
    let shape = input.dims();
    let half = shape[axis] / 2;
    let mut pairs = [0; 5];
    pairs[..=axis].copy_from_slice(&shape[..=axis]);
    pairs[axis] = half;
    pairs[axis + 1] = 2;
    pairs[axis + 2..].copy_from_slice(&shape[axis + 1..]);
    let pairs: Tensor<5> = input.narrow(axis, 0, 2 * half).reshape(pairs);
    [0, 1].map(|place| pairs.clone().narrow(axis + 1, place, 1).squeeze_dim(axis + 1))
}
