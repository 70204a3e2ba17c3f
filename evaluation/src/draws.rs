//! Sets that are drawn from one set: its own vectors, each any number of times.

// What is not inlined into `vectorised` is compiled for the oldest instruction set.
#![allow(clippy::inline_always)]

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Par, Scale};
use ndarray::{Array1, Array2, ArrayView2, Axis, CowArray, Ix2};
use nocturne_models::ops::vectorised;

use crate::{FrechetError, Gaussian, Statistics};

/// Vectors that go through one matrix product.
const BLOCK: usize = 256;

/// A set of vectors, from which others are drawn: by the bootstrap, by FAD-inf.
#[derive(Debug)]
pub struct Draws<'a> {
    /// `[frame, dim]`, row by row.
    vectors: CowArray<'a, f32, Ix2>,
    /// Of all, each once: near that of every draw, so that sums about it lose no digits.
    mean: Array1<f64>,
}

/// What a draw adds up to.
struct Moments {
    count: usize,
    mean: Array1<f64>,
    /// Σ (x − mean)(x − mean)ᵀ, of which the lower half is there.
    scatter: Mat<f64>,
}

impl<'a> Draws<'a> {
    /// From a set.
    ///
    /// # Shapes
    /// - vectors: `[frame, dim]`
    pub fn of(vectors: ArrayView2<'a, f32>) -> Self {
        let mut mean = Array1::<f64>::zeros(vectors.ncols());
        for vector in vectors.axis_iter(Axis(0)) {
            mean.zip_mut_with(&vector, |sum, value| *sum += f64::from(*value));
        }
        mean /= vectors.nrows().max(1) as f64;
        let vectors = if vectors.is_standard_layout() {
            vectors.into()
        } else {
            vectors.as_standard_layout().into_owned().into()
        };
        Self { vectors, mean }
    }

    /// Of the draw that has each vector so many times.
    pub fn statistics(&self, times: impl Fn(usize) -> u32) -> Statistics {
        let Moments { count, mean, scatter } = self.moments(times);
        let dim = mean.len();
        let scatter = Array2::from_shape_fn((dim, dim), |(row, column)| scatter[(row.max(column), row.min(column))]);
        Statistics::from_scatter(count, mean, scatter)
    }

    /// The normal distribution of the draw that has each vector so many times.
    pub fn gaussian(&self, times: impl Fn(usize) -> u32) -> Result<Gaussian, FrechetError> {
        let Moments { count, mean, scatter } = self.moments(times);
        if count < 2 {
            return Err(FrechetError::TooFewVectors { found: count });
        }
        Gaussian::of_lower(mean, scatter * Scale(((count - 1) as f64).recip()), ["the mean", "the covariance"])
    }

    /// In one pass about the mean of all vectors, and then moved to the draw's own (Chan, Golub and LeVeque, 1983, "Algorithms
    /// for computing the sample variance", which call it the corrected two-pass algorithm).
    fn moments(&self, times: impl Fn(usize) -> u32) -> Moments {
        let dim = self.mean.len();
        let counted: Vec<(usize, u32)> =
            (0..self.vectors.nrows()).map(|row| (row, times(row))).filter(|(_, times)| *times > 0).collect();
        let count = counted.iter().map(|(_, times)| *times as usize).sum::<usize>();
        let mut scatter = Mat::<f64>::zeros(dim, dim);
        let mut sums = vec![0.0; dim];
        let mut centred = Vec::with_capacity(BLOCK.min(counted.len()) * dim);
        for block in counted.chunks(BLOCK) {
            centred.resize(block.len() * dim, 0.0);
            vectorised(
                #[inline(always)]
                || self.centre(block, &mut centred, &mut sums),
            );
            add_products(&mut scatter, MatRef::from_column_major_slice(&centred, dim, block.len()), 1.0);
        }
        if count > 0 {
            add_products(&mut scatter, MatRef::from_column_major_slice(&sums, dim, 1), -(count as f64).recip());
        }
        let mean = &self.mean + &(Array1::from_vec(sums) / count.max(1) as f64);
        Moments { count, mean, scatter }
    }

    /// Writes the vectors of a block less the mean, each times the root of how often it counts, and adds them to `sums`.
    #[inline(always)]
    fn centre(&self, block: &[(usize, u32)], centred: &mut [f64], sums: &mut [f64]) {
        let dim = self.mean.len();
        let (Some(vectors), Some(mean)) = (self.vectors.as_slice(), self.mean.as_slice()) else {
            unreachable!("both lie in one piece")
        };
        for ((row, times), centred) in block.iter().zip(centred.chunks_exact_mut(dim.max(1))) {
            let root = f64::from(*times).sqrt();
            let vector = &vectors[row * dim..][..dim];
            for (((centred, sum), value), mean) in centred.iter_mut().zip(&mut *sums).zip(vector).zip(mean) {
                *centred = root * (f64::from(*value) - mean);
                *sum = root.mul_add(*centred, *sum);
            }
        }
    }
}

/// Adds `scale` · C·Cᵀ to the lower half.
fn add_products(scatter: &mut Mat<f64>, columns: MatRef<'_, f64>, scale: f64) {
    let [lower, rectangular] = [BlockStructure::TriangularLower, BlockStructure::Rectangular];
    matmul(scatter, lower, Accum::Add, columns, rectangular, columns.transpose(), rectangular, scale, Par::Seq);
}
