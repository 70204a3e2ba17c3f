//! The sum of a matrix's singular values.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Par, Side};

/// What the quick way may be wrong by, as a share of the sum.
const TOLERANCE: f64 = 1e-10;

/// With singular values as far apart as this the quick way is wrong by more.
const FAR_APART: f64 = 1e-6;

/// ‖M‖₁, the sum of singular values; nothing where their iteration does not end.
///
/// The eigenvalues of `MᵀM` are had in a third of the time, but only to ε of the largest: the root of a small one has lost its
/// digits. They are taken where that costs no more than 1e-10 of the sum, and the singular values themselves elsewhere.
/// `smallest` is a guess at the smallest singular value over the largest, from above: it spares the quick way where it leads
/// nowhere.
pub(crate) fn nuclear_norm(matrix: MatRef<'_, f64>, smallest: f64) -> Option<f64> {
    let tall = if matrix.nrows() < matrix.ncols() { matrix.transpose() } else { matrix };
    let quickly = if smallest < FAR_APART { None } else { quick(tall) };
    quickly.or_else(|| singular(tall))
}

fn singular(matrix: MatRef<'_, f64>) -> Option<f64> {
    Some(matrix.singular_values().ok()?.iter().sum())
}

fn quick(matrix: MatRef<'_, f64>) -> Option<f64> {
    let mut gram = Mat::zeros(matrix.ncols(), matrix.ncols());
    let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
    matmul(&mut gram, lower, Accum::Replace, matrix.transpose(), full, matrix, full, 1.0, Par::Seq);
    let squares = gram.self_adjoint_eigenvalues(Side::Lower).ok()?;
    let largest = squares.last().copied().unwrap_or(0.0);
    // Of the product and of the reduction to a tridiagonal together.
    let rounding = 10.0 * f64::EPSILON * largest;
    let sum: f64 = squares.iter().map(|square| square.max(0.0).sqrt()).sum();
    // d√λ = dλ / 2√λ, of either sign.
    let variance: f64 = squares
        .iter()
        .map(|square| if *square > rounding { rounding * rounding / (4.0 * square) } else { rounding })
        .sum();
    (variance.sqrt() <= TOLERANCE * sum).then_some(sum)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nocturne_models::random::Random;

    use super::*;

    /// Singular values 1, 2⁻ᵖ, 3⁻ᵖ, … between random directions.
    fn graded(rows: usize, columns: usize, power: i32, index: u64) -> Mat<f64> {
        let basis = |size: usize, index| {
            let values = Random::new(3, "nuclear", index).normal(size * size);
            Mat::from_fn(size, size, |row, column| f64::from(values[row * size + column])).qr().compute_Q()
        };
        let (left, right) = (basis(rows, 2 * index), basis(columns, 2 * index + 1));
        let kept = rows.min(columns);
        let scaled = Mat::from_fn(rows, kept, |row, column| left[(row, column)] * (column as f64 + 1.0).powi(-power));
        scaled * right.get(.., ..kept).transpose()
    }

    #[test]
    fn both_ways_find_the_sum() {
        let (mut quickly, mut slowly) = (0, 0);
        for power in 0..8 {
            for (rows, columns) in [(70, 70), (90, 40), (40, 90), (5, 60), (1, 1)] {
                let matrix = graded(rows, columns, power, power as u64);
                let expected: f64 = (1..=rows.min(columns)).map(|k| (k as f64).powi(-power)).sum();
                let found = nuclear_norm(matrix.as_ref(), 1.0).unwrap();
                assert!((nuclear_norm(matrix.as_ref(), 0.0).unwrap() - found).abs() < 1e-10 * expected);
                assert!((found - expected).abs() < 1e-10 * expected, "{rows}×{columns} {power}: {found} {expected}");
                let tall = if rows < columns { matrix.transpose() } else { matrix.as_ref() };
                if quick(tall).is_some() { quickly += 1 } else { slowly += 1 }
            }
        }
        assert!(quickly > 5 && slowly > 5, "{quickly} {slowly}");
    }

    #[test]
    fn nothing_has_no_norm() {
        assert_eq!(nuclear_norm(Mat::zeros(4, 3).as_ref(), 1.0), Some(0.0));
        assert_eq!(nuclear_norm(Mat::zeros(4, 0).as_ref(), 1.0), Some(0.0));
    }
}
