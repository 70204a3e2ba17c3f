//! All vectors of one set against all of another, a block at a time.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use ndarray::ArrayView2;

/// Vectors of a block.
const BLOCK: usize = 256;

/// Vectors in 64 bits with their squared lengths.
pub(crate) struct Vectors {
    dim: usize,
    values: Vec<f64>,
    squares: Vec<f64>,
}

impl Vectors {
    /// # Shapes
    /// - vectors: `[frame, dim]`
    pub fn new(vectors: ArrayView2<f32>) -> Self {
        let values: Vec<f64> = vectors.iter().map(|value| f64::from(*value)).collect();
        let squares = vectors.outer_iter().map(|row| row.iter().map(|value| f64::from(*value).powi(2)).sum()).collect();
        Self { dim: vectors.ncols(), values, squares }
    }

    pub fn len(&self) -> usize {
        self.squares.len()
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The first vector of every block.
    pub fn blocks(&self) -> Vec<usize> {
        (0..self.len()).step_by(BLOCK).collect()
    }

    /// Vectors of the block that starts here.
    pub fn block_len(&self, start: usize) -> usize {
        BLOCK.min(self.len() - start)
    }

    fn block(&self, start: usize) -> MatRef<'_, f64> {
        let count = self.block_len(start);
        MatRef::from_column_major_slice(&self.values[start * self.dim..(start + count) * self.dim], self.dim, count)
    }

    /// Calls `pair` with the places, the squared distance and the product of every vector of one block of ours and all `others`
    /// from `from` on, in order.
    pub fn against(&self, start: usize, others: &Self, from: usize, mut pair: impl FnMut(usize, usize, f64, f64)) {
        let ours = self.block(start);
        for other in others.blocks().into_iter().skip(from / BLOCK) {
            let theirs = others.block(other);
            let mut products = Mat::<f64>::zeros(theirs.ncols(), ours.ncols());
            matmul(&mut products, Accum::Replace, theirs.transpose(), ours, 1.0, Par::Seq);
            for row in 0..ours.ncols() {
                for column in 0..theirs.ncols() {
                    let product = products[(column, row)];
                    let (i, j) = (start + row, other + column);
                    // What the three terms round to may be below zero where the vectors are the same.
                    let distance = (self.squares[i] + others.squares[j] - 2.0 * product).max(0.0);
                    pair(i, j, distance, product);
                }
            }
        }
    }
}
