//! The mean and covariance of a set of vectors, gathered piece by piece.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::{Draws, FrechetError, Gaussian};

/// Vectors that are gathered at least before they are merged.
const BLOCK: usize = 256;

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
        Draws::of(vectors).statistics(|_| 1)
    }

    pub(crate) fn from_scatter(count: usize, mean: Array1<f64>, scatter: Array2<f64>) -> Self {
        Self { count, mean, scatter }
    }

    /// As read from a file.
    ///
    /// # Shapes
    /// - mean: `[dim]`
    /// - covariance: `[dim, dim]`, divided by one less than the count
    pub fn from_moments(count: usize, mean: Array1<f64>, covariance: Array2<f64>) -> Self {
        let scatter = covariance * count.saturating_sub(1) as f64;
        Self { count, mean, scatter }
    }

    /// The same scatter about another mean: for systems that round their means.
    #[must_use]
    pub fn with_mean(self, mean: Array1<f64>) -> Self {
        Self { mean, ..self }
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

    /// Their normal distribution, to be compared.
    pub fn gaussian(&self) -> Result<Gaussian, FrechetError> {
        let covariance = self.covariance().ok_or(FrechetError::TooFewVectors { found: self.count })?;
        Gaussian::new(self.mean.view(), covariance.view())
    }

    /// The Fréchet distance to another set.
    pub fn frechet_distance(&self, other: &Self) -> Result<f64, FrechetError> {
        self.gaussian()?.frechet_distance(&other.gaussian()?)
    }
}

/// Gathers many small pieces: they go into [`Statistics`] some hundred vectors at a time, because a merge costs as much as
/// a whole matrix.
#[derive(Clone, Debug)]
pub struct Gathering {
    statistics: Statistics,
    waiting: Vec<f32>,
}

impl Gathering {
    /// Of no vectors yet.
    pub fn new(dim: usize) -> Self {
        Self { statistics: Statistics::new(dim), waiting: Vec::new() }
    }

    /// Adds a piece.
    ///
    /// # Shapes
    /// - vectors: `[frame, dim]`
    ///
    /// # Panics
    /// When the dimension is another one.
    pub fn add(&mut self, vectors: ArrayView2<f32>) {
        let dim = self.statistics.dim();
        assert_eq!(vectors.ncols(), dim, "a gathering of {dim} dimensions");
        self.waiting.extend(vectors.iter());
        if self.waiting.len() >= dim.max(BLOCK) * dim {
            self.settle();
        }
    }

    /// The statistics of all pieces.
    pub fn finish(mut self) -> Statistics {
        self.settle();
        self.statistics
    }

    fn settle(&mut self) {
        let dim = self.statistics.dim();
        if let Ok(vectors) = ArrayView2::from_shape((self.waiting.len() / dim.max(1), dim), &self.waiting) {
            self.statistics.merge(&Statistics::of(vectors));
        }
        self.waiting.clear();
    }
}
