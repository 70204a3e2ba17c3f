//! The Fréchet distance against known answers, and what must hold of any.

#![allow(clippy::unwrap_used)]

use ndarray::{Array1, Array2, Axis, array, s};
use nocturne_evaluation::{FrechetError, Statistics, frechet_distance};

/// Two small sets written as formulas, whose distances SciPy computed (`scipy.linalg.sqrtm` and eigenvalues agree).
fn x() -> Array2<f64> {
    Array2::from_shape_fn((200, 8), |(i, j)| {
        let (i, j) = (i as f64, j as f64);
        (0.37 * i + 1.3 * j).sin() + 0.5 * (0.11 * i * (j + 1.0)).cos()
    })
}

fn y() -> Array2<f64> {
    Array2::from_shape_fn((150, 8), |(i, j)| {
        let (i, j) = (i as f64, j as f64);
        (0.41 * i + 0.9 * j).sin() + 0.3 * (0.11 * i * (j + 1.0)).cos() + 0.1
    })
}

fn moments(vectors: &Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    let mean = vectors.mean_axis(Axis(0)).unwrap();
    let centred = vectors - &mean;
    let covariance = centred.t().dot(&centred) / (vectors.nrows() - 1) as f64;
    (mean, covariance)
}

fn distance(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let ((mean_a, covariance_a), (mean_b, covariance_b)) = (moments(a), moments(b));
    frechet_distance(mean_a.view(), covariance_a.view(), mean_b.view(), covariance_b.view()).unwrap()
}

#[test]
fn matches_scipy() {
    assert!((moments(&x()).1.diag().sum() - 4.990_182_271_739_723).abs() < 1e-12);
    assert!((moments(&y()).1.diag().sum() - 4.445_987_134_929_787).abs() < 1e-12);
    assert!((distance(&x(), &y()) - 2.945_572_547_241_63).abs() < 1e-10);
}

/// Five vectors of eight dimensions. SciPy's own answer has the square root of its rounding in it, hence the tolerance.
#[test]
fn matches_scipy_on_a_covariance_of_low_rank() {
    let few = y().slice(s![..5, ..]).to_owned();
    assert!((distance(&x(), &few) - 7.867_481_922_981_228).abs() < 1e-6);
}

#[test]
fn a_set_is_at_no_distance_from_itself() {
    assert!(distance(&x(), &x()) < 1e-9);
    let few = y().slice(s![..5, ..]).to_owned();
    assert!(distance(&few, &few) < 1e-9);
    // Many more dimensions than vectors, as a handful of clips under a wide embedding.
    let wide = Array2::from_shape_fn((7, 96), |(i, j)| ((i * 31 + j * 17) as f64).sin() * 3.0);
    assert!(distance(&wide, &wide) < 1e-9, "{}", distance(&wide, &wide));
}

#[test]
fn matches_what_can_be_worked_out_by_hand() {
    let eye = Array2::<f64>::eye(2);
    let apart =
        frechet_distance(array![0.0, 0.0].view(), (&eye * 2.0).view(), array![1.0, 1.0].view(), (&eye * 2.0).view());
    assert!((apart.unwrap() - 2.0).abs() < 1e-12);
    let zero = Array1::<f64>::zeros(2);
    for (a, b) in [(2.0_f64, 3.0_f64), (0.0, 1.0), (1e-8, 1e8)] {
        let found = frechet_distance(zero.view(), (&eye * a).view(), zero.view(), (&eye * b).view()).unwrap();
        let expected = 2.0 * (a.sqrt() - b.sqrt()).powi(2);
        assert!((found - expected).abs() <= 1e-12 * expected.max(1.0), "{a} {b}: {found} {expected}");
    }
}

#[test]
fn is_symmetric_and_does_not_turn_with_the_axes() {
    assert!((distance(&x(), &y()) - distance(&y(), &x())).abs() < 1e-12);
    let (sine, cosine) = 0.7_f64.sin_cos();
    let mut turn = Array2::<f64>::eye(8);
    turn.slice_mut(s![2..4, 2..4]).assign(&array![[cosine, -sine], [sine, cosine]]);
    assert!((distance(&x().dot(&turn), &y().dot(&turn)) - distance(&x(), &y())).abs() < 1e-11);
}

#[test]
fn pieces_merge_into_the_statistics_of_the_whole() {
    // Far from zero, where a sum of squares would lose its digits.
    let vectors = x().mapv(|value| (value + 1000.0) as f32);
    let (mean, covariance) = moments(&vectors.mapv(f64::from));
    for size in [1, 7, 200] {
        let mut merged = Statistics::new(8);
        for piece in vectors.axis_chunks_iter(Axis(0), size) {
            merged.merge(&Statistics::of(piece));
        }
        merged.merge(&Statistics::of(vectors.slice(s![..0, ..])));
        assert_eq!((merged.count(), merged.dim()), (200, 8));
        let mean_error = (merged.mean() - &mean).mapv(f64::abs).sum();
        let covariance_error = (merged.covariance().unwrap() - &covariance).mapv(f64::abs).sum();
        assert!(mean_error < 1e-9 && covariance_error < 1e-9, "{size}: {mean_error} {covariance_error}");
    }
}

#[test]
fn refuses_what_has_no_distance() {
    let (mean, covariance) = moments(&x());
    let one = Statistics::of(x().slice(s![..1, ..]).mapv(|value| value as f32).view());
    assert_eq!(one.frechet_distance(&one), Err(FrechetError::TooFewVectors { found: 1 }));
    let short = mean.slice(s![..7]);
    let error = frechet_distance(mean.view(), covariance.view(), short, covariance.view()).unwrap_err();
    assert_eq!(error.to_string(), "the second mean is of shape [7], expected [8]");
    let mut broken = covariance.clone();
    broken[(3, 1)] = f64::NAN;
    let error = frechet_distance(mean.view(), covariance.view(), mean.view(), broken.view()).unwrap_err();
    assert_eq!(error, FrechetError::NotFinite { what: "the second covariance" });
}
