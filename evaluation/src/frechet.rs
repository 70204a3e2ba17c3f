//! The Fréchet distance between two normal distributions, the last step of every Fréchet audio distance.

use faer::{Mat, Side};
use ndarray::{ArrayView1, ArrayView2};
use thiserror::Error;

/// Two distributions that cannot be compared.
#[derive(Debug, PartialEq, Error)]
pub enum FrechetError {
    /// A covariance needs two vectors at least.
    #[error("a set of {found} vectors has no covariance, expected at least 2")]
    TooFewVectors {
        /// How many there are.
        found: usize,
    },
    /// The two means and covariances are not of one dimension.
    #[error("{what} is of shape {found:?}, expected {expected:?}")]
    Shape {
        /// Which of the four.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that goes with the first mean.
        expected: Vec<usize>,
    },
    /// NaN or infinity.
    #[error("{what} has a value that is not finite")]
    NotFinite {
        /// Which of the four.
        what: &'static str,
    },
    /// The eigenvalue or singular value iteration did not end.
    #[error("the covariances have no decomposition in 64 bits")]
    NoConvergence,
}

/// ‖μ₁−μ₂‖² + tr C₁ + tr C₂ − 2·tr (C₁C₂)^½ (Dowson and Landau, 1982), at least 0.
///
/// The last trace is the sum of the singular values of C₁^½·C₂^½. Both roots come from symmetric eigenvalues, so nothing is
/// complex, and a covariance of less than full rank (fewer vectors than dimensions) needs no ε on its diagonal: `sqrtm`
/// of the product, the usual way, fails there.
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
    let dim = mean1.len();
    check("the first mean", mean1.shape(), mean1.iter(), &[dim])?;
    check("the first covariance", covariance1.shape(), covariance1.iter(), &[dim, dim])?;
    check("the second mean", mean2.shape(), mean2.iter(), &[dim])?;
    check("the second covariance", covariance2.shape(), covariance2.iter(), &[dim, dim])?;

    let product = root(covariance1)? * root(covariance2)?.transpose();
    let singular = product.singular_values().map_err(|_| FrechetError::NoConvergence)?;
    let means: f64 = mean1.iter().zip(mean2).map(|(a, b)| (a - b).powi(2)).sum();
    let traces: f64 = covariance1.diag().iter().chain(covariance2.diag()).sum();
    Ok((means + traces - 2.0 * singular.iter().sum::<f64>()).max(0.0))
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

/// The symmetric root of a covariance. Eigenvalues that rounding made negative are 0.
fn root(covariance: ArrayView2<f64>) -> Result<Mat<f64>, FrechetError> {
    let (dim, _) = covariance.dim();
    let matrix = Mat::from_fn(dim, dim, |row, column| covariance[(row, column)]);
    let eigen = matrix.self_adjoint_eigen(Side::Lower).map_err(|_| FrechetError::NoConvergence)?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    let scaled = Mat::from_fn(dim, dim, |row, column| vectors[(row, column)] * values[column].max(0.0).sqrt());
    Ok(&scaled * vectors.transpose())
}
