//! The sum of a matrix's singular values.

mod band;
mod chase;
mod quotients;

use faer::{Mat, MatRef, Scale};

/// ‖M‖₁, the sum of singular values; nothing where their iteration does not end, or a value is not finite.
///
/// Three steps, each of which leaves the singular values what they are, to ε of the largest: to a few diagonals, to two, and
/// the values themselves.
pub(crate) fn nuclear_norm(matrix: MatRef<'_, f64>) -> Option<f64> {
    let tall = if matrix.nrows() < matrix.ncols() { matrix.transpose() } else { matrix };
    let largest = tall.norm_max();
    if !largest.is_finite() {
        return None;
    }
    if largest < f64::MIN_POSITIVE {
        return Some(0.0);
    }
    // Squares of values near 1 neither overflow nor vanish.
    let mut scaled: Mat<f64> = tall * Scale(largest.recip());
    // Within the pool: a thread outside of it would wait for another one at every product.
    rayon::scope(|_| band::narrow(scaled.as_mut()));
    let sum = quotients::sum_of_singular_values(&chase::two_diagonals(scaled.as_ref()))?;
    Some(sum * largest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nocturne_models::random::Random;

    use super::*;

    /// Singular values between random directions.
    fn matrix(rows: usize, columns: usize, value: impl Fn(usize) -> f64) -> Mat<f64> {
        let basis = |size: usize, index| {
            let values = Random::new(3, "nuclear", index).normal(size * size);
            Mat::from_fn(size, size, |row, column| f64::from(values[row * size + column])).qr().compute_Q()
        };
        let (left, right) = (basis(rows, 0), basis(columns, 1));
        let kept = rows.min(columns);
        let scaled = Mat::from_fn(rows, kept, |row, column| left[(row, column)] * value(column));
        scaled * right.get(.., ..kept).transpose()
    }

    fn check(name: &str, matrix: MatRef<'_, f64>) {
        let expected: f64 = matrix.singular_values().unwrap().iter().sum();
        let found = nuclear_norm(matrix).unwrap();
        let (rows, columns) = matrix.shape();
        assert!((found - expected).abs() <= 1e-12 * expected, "{name}, {rows}×{columns}: {found} {expected}");
    }

    #[test]
    fn is_the_sum_of_all_singular_values_however_far_apart_they_are() {
        for (rows, columns) in [(130, 130), (70, 70), (90, 40), (40, 90), (33, 33), (17, 16), (5, 60), (2, 2), (1, 1)] {
            for power in [0, 1, 3, 6, 12, 40] {
                let graded = matrix(rows, columns, |index| (index as f64 + 1.0).powi(-power));
                check(&format!("power {power}"), graded.as_ref());
            }
            check("low rank", matrix(rows, columns, |index| if index < 3 { 1.0 } else { 0.0 }).as_ref());
            check("two clusters", matrix(rows, columns, |index| if index % 2 == 0 { 1.0 } else { 1e-9 }).as_ref());
            check("nearly singular", matrix(rows, columns, |index| 10_f64.powi(-16 * (index as i32 % 2))).as_ref());
        }
    }

    #[test]
    fn finds_the_sum_where_nothing_has_to_be_turned() {
        check("identity", Mat::<f64>::identity(40, 40).as_ref());
        check("ones", Mat::<f64>::full(40, 30, 1.0).as_ref());
        let shifted = |row: usize, column: usize| if column == row + 1 { 1.0 } else { 0.0 };
        check("nilpotent", Mat::from_fn(40, 40, shifted).as_ref());
        let growing = |row: usize, column: usize| shifted(row, column) * 10_f64.powi(row as i32 / 2);
        check("growing", Mat::from_fn(40, 40, growing).as_ref());
        // A chain that falls apart in its middle, and whose small values come first.
        let chain = |row: usize, column: usize| {
            let size = if row == 20 { 0.0 } else { row as f64 };
            if column == row { size } else { shifted(row, column) }
        };
        check("chain", Mat::from_fn(40, 40, chain).as_ref());
    }

    #[test]
    fn grows_with_the_matrix_to_the_ends_of_the_range() {
        let one = matrix(40, 40, |index| (index as f64 + 1.0).powi(-3));
        let norm = nuclear_norm(one.as_ref()).unwrap();
        for scale in [1e-290, 1e-160, 1e160, 1e300] {
            let scaled: Mat<f64> = &one * Scale(scale);
            assert!((nuclear_norm(scaled.as_ref()).unwrap() / scale / norm - 1.0).abs() < 1e-12, "{scale}");
        }
        let broken = Mat::from_fn(3, 3, |row, _| if row == 1 { f64::INFINITY } else { 1.0 });
        assert_eq!(nuclear_norm(broken.as_ref()), None);
        assert_eq!(nuclear_norm(broken.get(1..2, 1..2)), None);
    }

    #[test]
    fn nothing_has_no_norm() {
        assert_eq!(nuclear_norm(Mat::zeros(4, 3).as_ref()), Some(0.0));
        assert_eq!(nuclear_norm(Mat::zeros(4, 0).as_ref()), Some(0.0));
    }
}
