//! Kernels of 3 × 3 with stride one by Winograd's minimal filtering: a tile of 4 × 4 outputs takes 36 products for a pair
//! of channels, where columns take 144 (Lavin and Gray, arXiv 1509.09308).
//!
//! Inputs, weights and gradients of outputs are carried to 36 points, there multiplied and added up over channels (or, for
//! the weights' gradients, over tiles), and carried back. At the points channels lie side by side, so that planes of every
//! size are worked on in whole vectors.
//!
//! Beside a convolution in double precision the outputs of 128 to 512 channels are off by 1.1e-6 to 2.0e-6 of their root
//! mean square, by columns 3.3e-7 to 3.9e-7; F(2 × 2, 3 × 3) would be as exact as columns, and takes half as long again.

// Rows and columns of a tile are indices into several arrays at a time.
#![allow(clippy::needless_range_loop)]

mod forward;
mod product;
mod scratch;
mod tiles;
mod transform;
mod weight;

pub(super) use forward::forward;
pub(super) use weight::weight_gradient;

use super::geometry::Geometry;
use tiles::{GROUP, Planes, Strip};
use transform::{IN, OUT};

/// Points of a tile.
const POINTS: usize = IN * IN;

/// Whether a convolution can be done this way, and is the faster for it: below that many tiles an item the weights take
/// longer than what they are multiplied with, and a group of channels is computed whole. Not the batch decides, lest an
/// item's result depend on it.
pub(super) fn pays(g: &Geometry) -> bool {
    let [rows, columns] = grid(g.output);
    g.kernel == [3, 3] && g.stride == [1, 1] && g.channels_in.min(g.channels_out) >= GROUP && rows * columns >= 4
}

/// Weights as they lie in memory.
#[derive(Clone, Copy)]
pub(super) struct Kernels<'a> {
    pub values: &'a [f32],
    /// From one output channel to the next, from one input channel to the next.
    pub strides: [usize; 2],
    /// Whether the taps are read from the last to the first.
    pub turned: bool,
}

/// How many tiles lie above and beside each other.
fn grid(size: [usize; 2]) -> [usize; 2] {
    size.map(|length| length.div_ceil(OUT))
}

/// The planes of the `group`th group of channels of one item.
fn planes(values: &[f32], item: usize, channels: usize, group: usize, size: [usize; 2]) -> Planes<'_> {
    let area = size[0] * size[1];
    let count = GROUP.min(channels - group * GROUP);
    Planes { values: &values[(item * channels + group * GROUP) * area..][..count * area], size }
}

/// What `tiles` tiles from the `column`th on in one row of tiles see of the input.
fn seen(g: &Geometry, row: usize, column: usize, tiles: usize) -> Strip {
    let [top, left] = [(row, g.padding[0]), (column, g.padding[1])]
        .map(|(tile, padding)| (tile * OUT).cast_signed() - padding.cast_signed());
    Strip { top, left, tiles }
}

/// Values that a row of `tiles` tiles needs before they are carried to the points.
fn patch(tiles: usize) -> usize {
    IN * (OUT * tiles + IN - OUT)
}
