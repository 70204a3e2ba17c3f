//! The mean and covariance of a set of vectors, gathered piece by piece.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::{FrechetError, frechet_distance};

/// The mean and covariance of every vector seen so far, in 64 bits whatever the vectors' precision.
///
/// Pieces merge by the update of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for computing
/// sample variances", 1979), so a set is never held whole. Merge in a fixed order: sums of floats depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    count: usize,
    mean: Array1<f64>,
    /// Σ (x − mean)(x − mean)ᵀ.
    scatter: Array2<f64>,
}

impl Statistics {
    /// Of no vectors yet.
    pub fn new(dim: usize) -> Self {
        Self { count: 0, mean: Array1::zeros(dim), scatter: Array2::zeros((dim, dim)) }
    }

    /// Of one piece.
    ///
    /// # Shapes
    /// - vectors: `[frame, dim]`
    pub fn of(vectors: ArrayView2<f32>) -> Self {
        let vectors = vectors.mapv(f64::from);
        let (count, dim) = vectors.dim();
        let Some(mean) = vectors.mean_axis(Axis(0)) else { return Self::new(dim) };
        let centred = vectors - &mean;
        Self { count, mean, scatter: centred.t().dot(&centred) }
    }

    /// Adds the vectors behind other statistics.
    ///
    /// # Panics
    /// When the dimensions differ.
    pub fn merge(&mut self, other: &Self) {
        let (dim, other_dim) = (self.dim(), other.dim());
        assert_eq!(dim, other_dim, "statistics of {dim} dimensions cannot take in {other_dim}");
        if other.count == 0 {
            return;
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let total = ours + theirs;
        let difference = &other.mean - &self.mean;
        let column = difference.view().insert_axis(Axis(1));
        self.scatter += &other.scatter;
        self.scatter.scaled_add(ours * theirs / total, &column.dot(&column.t()));
        self.mean.scaled_add(theirs / total, &difference);
        self.count += other.count;
    }

    /// How many vectors.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Their dimension.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// `[dim]`.
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// `[dim, dim]`, divided by one less than the count (`numpy.cov`). Fewer than two vectors have none.
    pub fn covariance(&self) -> Option<Array2<f64>> {
        (self.count >= 2).then(|| &self.scatter / (self.count - 1) as f64)
    }

    /// The Fréchet distance to another set.
    pub fn frechet_distance(&self, other: &Self) -> Result<f64, FrechetError> {
        let covariance = |set: &Self| set.covariance().ok_or(FrechetError::TooFewVectors { found: set.count });
        frechet_distance(self.mean.view(), covariance(self)?.view(), other.mean.view(), covariance(other)?.view())
    }
}
