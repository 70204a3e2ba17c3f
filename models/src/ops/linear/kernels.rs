//! Few rows times a matrix, on slices: the matrix is read once, as it lies in memory.
//!
//! What is added up for one value of the output has an order that the length of its sum alone decides, so a row's results
//! depend neither on the other rows nor on the threads. No axis may be empty.

use rayon::prelude::*;

use super::vectors::{Combine, Dots, OuterProducts};
use crate::ops::fresh::in_pieces;

/// Rows that go through the matrix together.
const ROWS: usize = 16;

/// Fewer weights than this are the work of one thread: waking another takes longer.
const WORTH_SHARING: usize = 1 << 16;

/// How a matrix `[inner, outer]` lies in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Layout {
    /// Row after row, as burn's `Linear` makes it.
    Rows,
    /// Column after column: published weights that were turned without being moved.
    Columns,
}

impl Layout {
    pub(super) fn transposed(self) -> Self {
        match self {
            Self::Rows => Self::Columns,
            Self::Columns => Self::Rows,
        }
    }
}

/// # Shapes
///
/// `[row, inner]`, `[inner, outer]`, `[outer]` → `[row, outer]`
pub(super) fn product(
    rows: &[f32],
    matrix: &[f32],
    layout: Layout,
    [inner, outer]: [usize; 2],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let count = rows.len() / inner;
    let mut output = vec![0.0; count * outer];
    let width = piece_width(outer, count);
    // For each piece of the columns, its part of every row.
    let mut pieces: Vec<Vec<&mut [f32]>> = Vec::new();
    pieces.resize_with(outer.div_ceil(width), || Vec::with_capacity(count));
    for row in output.chunks_exact_mut(outer) {
        for (piece, part) in pieces.iter_mut().zip(row.chunks_mut(width)) {
            piece.push(part);
        }
    }
    let fill = |sums: &mut Vec<f32>, (index, mut piece): (usize, Vec<&mut [f32]>)| {
        let (first, width) = (index * width, piece[0].len());
        for (rows, outputs) in rows.chunks(ROWS * inner).zip(piece.chunks_mut(ROWS)) {
            sums.clear();
            for _ in 0..outputs.len() {
                match bias {
                    Some(bias) => sums.extend_from_slice(&bias[first..][..width]),
                    None => sums.extend(std::iter::repeat_n(0.0, width)),
                }
            }
            match layout {
                Layout::Rows => {
                    let matrix = &matrix[first..];
                    pulp::Arch::new().dispatch(Combine { rows, inner, matrix, pitch: outer, sums, width });
                }
                Layout::Columns => {
                    let columns = &matrix[first * inner..][..width * inner];
                    pulp::Arch::new().dispatch(Dots { rows, inner, columns, sums });
                }
            }
            for (output, sums) in outputs.iter_mut().zip(sums.chunks_exact(width)) {
                output.copy_from_slice(sums);
            }
        }
    };
    if inner * outer < WORTH_SHARING {
        let mut sums = Vec::new();
        pieces.into_iter().enumerate().for_each(|piece| fill(&mut sums, piece));
    } else {
        pieces.into_par_iter().enumerate().for_each_init(Vec::new, fill);
    }
    output
}

/// Columns that one task works on: what it adds up stays in the first-level cache. Results do not depend on it.
fn piece_width(outer: usize, count: usize) -> usize {
    let most = 4096 / count.min(ROWS);
    outer.div_ceil(rayon::current_num_threads()).min(most).next_multiple_of(16)
}

/// The sum over rows of their outer products.
///
/// # Shapes
///
/// `[row, inner]`, `[row, outer]` → `[inner, outer]`
pub(super) fn outer_products(left: &[f32], right: &[f32], [inner, outer]: [usize; 2]) -> Vec<f32> {
    let lines = (1usize << 15).div_ceil(outer);
    let (output, _) = in_pieces(inner * outer, lines * outer, |index, place| {
        let lines = index * lines..inner.min((index + 1) * lines);
        pulp::Arch::new().dispatch(OuterProducts { left, inner, right, outer, lines, place });
    });
    output
}

/// The sum of rows of `outer` values.
pub(super) fn sum_of_rows(rows: &[f32], outer: usize) -> Vec<f32> {
    let mut sum = vec![0.0; outer];
    for row in rows.chunks_exact(outer) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sum
}
