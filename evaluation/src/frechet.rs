//! The Fréchet distance between two normal distributions, the last step of every Fréchet audio distance.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{self as cholesky, LltRegularization};
use faer::linalg::cholesky::llt_pivoting::factor as pivoted;
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, Par, Spec};
use ndarray::{Array1, ArrayView1, ArrayView2, Axis};
use thiserror::Error;

use crate::Statistics;
use crate::nuclear::nuclear_norm;

/// Two distributions that cannot be compared.
#[derive(Debug, PartialEq, Error)]
pub enum FrechetError {
    /// A covariance needs two vectors at least.
    #[error("a set of {found} vectors has no covariance, expected at least 2")]
    TooFewVectors {
        /// How many there are.
        found: usize,
    },
    /// Means and covariances are not of one dimension.
    #[error("{what} is of shape {found:?}, expected {expected:?}")]
    Shape {
        /// Which of them.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that goes with the first mean.
        expected: Vec<usize>,
    },
    /// NaN or infinity.
    #[error("{what} has a value that is not finite")]
    NotFinite {
        /// Which of them.
        what: &'static str,
    },
    /// A matrix that is no covariance: it gives some direction a negative variance.
    #[error("{what} is not positive semidefinite")]
    NotACovariance {
        /// Which of them.
        what: &'static str,
    },
    /// The singular value iteration did not end.
    #[error("the covariances have no decomposition in 64 bits")]
    NoConvergence,
}

/// The share of its trace that a covariance may lack in its factor before it is called none: far above rounding, far below
/// a matrix that is wrong.
const INDEFINITE: f64 = 1e-5;

/// A normal distribution, made ready to be compared with many others.
///
/// The covariance is kept as a factor F, C = F·Fᵀ, of as many columns as its rank.
#[derive(Clone, Debug)]
pub struct Gaussian {
    mean: Array1<f64>,
    /// `[dim, rank]`.
    factor: Mat<f64>,
    /// The factor is a lower triangle.
    triangular: bool,
}

impl Gaussian {
    /// Of a mean and a covariance.
    ///
    /// A covariance of full rank gives its Cholesky factor; one of less, the factor with pivots down to the rank that
    /// rounding leaves (LINPACK's `dpstrf`: n·ε of the largest variance).
    ///
    /// # Shapes
    /// - mean: `[dim]`
    /// - covariance: `[dim, dim]`, symmetric, of which the lower half is read
    pub fn new(mean: ArrayView1<f64>, covariance: ArrayView2<f64>) -> Result<Self, FrechetError> {
        Self::named(mean, covariance, ["the mean", "the covariance"])
    }

    /// Of vectors: directly, when there are fewer of them than dimensions, and then without any d×d matrix.
    ///
    /// # Shapes
    /// - vectors: `[frame, dim]`
    pub fn of(vectors: ArrayView2<f32>) -> Result<Self, FrechetError> {
        let (count, dim) = vectors.dim();
        if count > dim {
            return Statistics::of(vectors).gaussian();
        }
        if count < 2 {
            return Err(FrechetError::TooFewVectors { found: count });
        }
        if vectors.iter().any(|value| !value.is_finite()) {
            return Err(FrechetError::NotFinite { what: "a vector" });
        }
        let mut mean = Array1::<f64>::zeros(dim);
        for vector in vectors.axis_iter(Axis(0)) {
            mean.zip_mut_with(&vector, |sum, value| *sum += f64::from(*value));
        }
        mean /= count as f64;
        let scale = ((count - 1) as f64).sqrt().recip();
        let factor = Mat::from_fn(dim, count, |row, column| (f64::from(vectors[(column, row)]) - mean[row]) * scale);
        Ok(Self { mean, factor, triangular: false })
    }

    fn named(
        mean: ArrayView1<f64>,
        covariance: ArrayView2<f64>,
        [mean_name, name]: [&'static str; 2],
    ) -> Result<Self, FrechetError> {
        let dim = mean.len();
        check(mean_name, mean.shape(), mean.iter(), &[dim])?;
        check(name, covariance.shape(), covariance.iter(), &[dim, dim])?;
        let lower = Mat::from_fn(dim, dim, |row, column| if row < column { 0.0 } else { covariance[(row, column)] });
        Self::of_lower(mean.to_owned(), lower, [mean_name, name])
    }

    /// Of a covariance's lower half, with nothing above.
    pub(crate) fn of_lower(
        mean: Array1<f64>,
        lower: Mat<f64>,
        [mean_name, name]: [&'static str; 2],
    ) -> Result<Self, FrechetError> {
        let dim = mean.len();
        check(mean_name, mean.shape(), mean.iter(), &[dim])?;
        // A value that is not finite makes its variance so.
        check(name, &[dim], lower.diagonal().column_vector().iter(), &[dim])?;
        let mut factor = lower.clone();
        let mut memory = MemBuffer::new(cholesky::cholesky_in_place_scratch::<f64>(dim, Par::Seq, Spec::default()));
        let stack = MemStack::new(&mut memory);
        if cholesky::cholesky_in_place(factor.as_mut(), LltRegularization::default(), Par::Seq, stack, Spec::default())
            .is_ok()
        {
            // The decomposition leaves what it worked with above its result.
            (0..dim).for_each(|column| factor.col_mut(column).get_mut(..column).fill(0.0));
            return Ok(Self { mean, factor, triangular: true });
        }
        let factor = low_rank(lower).ok_or(FrechetError::NotACovariance { what: name })?;
        Ok(Self { mean, factor, triangular: false })
    }

    /// How many dimensions.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// ‖μ₁−μ₂‖² + tr C₁ + tr C₂ − 2·tr (C₁C₂)^½ (Dowson and Landau, 1982), at least 0.
    ///
    /// The last trace is the sum of the singular values of `F₁ᵀF₂`. Nothing is complex, and nothing is lost to the square
    /// root of a product's small eigenvalues: a covariance of less than full rank (fewer vectors than dimensions) needs no ε on
    /// its diagonal, where `sqrtm` of the product, the usual way, fails, and a set is at no distance from itself.
    pub fn frechet_distance(&self, other: &Self) -> Result<f64, FrechetError> {
        let (dim, found) = (self.dim(), other.dim());
        if dim != found {
            return Err(FrechetError::Shape { what: "the second mean", found: vec![found], expected: vec![dim] });
        }
        let mut product = Mat::zeros(self.factor.ncols(), other.factor.ncols());
        matmul(
            &mut product,
            BlockStructure::Rectangular,
            Accum::Replace,
            self.factor.transpose(),
            if self.triangular { BlockStructure::TriangularUpper } else { BlockStructure::Rectangular },
            &other.factor,
            if other.triangular { BlockStructure::TriangularLower } else { BlockStructure::Rectangular },
            1.0,
            Par::Seq,
        );
        let root = nuclear_norm(product.as_ref()).ok_or(FrechetError::NoConvergence)?;
        let means: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let traces = self.factor.squared_norm_l2() + other.factor.squared_norm_l2();
        Ok((means + traces - 2.0 * root).max(0.0))
    }
}

/// The Fréchet distance of two distributions that are compared once; see [`Gaussian::frechet_distance`].
///
/// # Shapes
/// - means: `[dim]`
/// - covariances: `[dim, dim]`, symmetric, of which the lower half is read
pub fn frechet_distance(
    mean1: ArrayView1<f64>,
    covariance1: ArrayView2<f64>,
    mean2: ArrayView1<f64>,
    covariance2: ArrayView2<f64>,
) -> Result<f64, FrechetError> {
    check("the second mean", mean2.shape(), std::iter::empty(), mean1.shape())?;
    let (first, second) = rayon::join(
        || Gaussian::named(mean1, covariance1, ["the first mean", "the first covariance"]),
        || Gaussian::named(mean2, covariance2, ["the second mean", "the second covariance"]),
    );
    first?.frechet_distance(&second?)
}

fn check<'a>(
    what: &'static str,
    found: &[usize],
    mut values: impl Iterator<Item = &'a f64>,
    expected: &[usize],
) -> Result<(), FrechetError> {
    if found != expected {
        return Err(FrechetError::Shape { what, found: found.to_vec(), expected: expected.to_vec() });
    }
    if values.all(|value| value.is_finite()) { Ok(()) } else { Err(FrechetError::NotFinite { what }) }
}

/// Of a lower half: `[dim, rank]`; nothing where the matrix is not positive semidefinite.
fn low_rank(mut lower: Mat<f64>) -> Option<Mat<f64>> {
    let dim = lower.nrows();
    let trace: f64 = (0..dim).map(|index| lower[(index, index)]).sum();
    let largest = (0..dim).map(|index| lower[(index, index)]).fold(0.0, f64::max);
    if largest == 0.0 {
        let zero = lower.norm_max() == 0.0;
        return zero.then(|| Mat::zeros(dim, 0));
    }
    let (mut forward, mut inverse) = (vec![0_usize; dim], vec![0_usize; dim]);
    let params = Spec::default();
    let mut memory = MemBuffer::new(pivoted::cholesky_in_place_scratch::<usize, f64>(dim, Par::Seq, params));
    let stack = MemStack::new(&mut memory);
    let (info, _) =
        pivoted::cholesky_in_place(lower.as_mut(), &mut forward, &mut inverse, Par::Seq, stack, params).ok()?;
    let mut factor = Mat::zeros(dim, info.rank);
    for column in 0..info.rank {
        for row in column..dim {
            factor[(forward[row], column)] = lower[(row, column)];
        }
    }
    ((factor.squared_norm_l2() - trace).abs() <= INDEFINITE * trace).then_some(factor)
}
