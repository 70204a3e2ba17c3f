//! The Fréchet distance against known answers, and what must hold of any.

#![allow(clippy::unwrap_used)]

mod golden;

use golden::{clips, x, y};
use ndarray::{Array1, Array2, Axis, array, s};
use nocturne_evaluation::fadtk::{rounded_statistics, stored};
use nocturne_evaluation::{Draws, FrechetError, Gathering, Gaussian, Statistics, frechet_distance, per_song};
use nocturne_models::random::Random;

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

/// Vectors whose variance falls off along random directions.
fn coloured(count: usize, dim: usize, power: i32, index: u64) -> Array2<f64> {
    let mut random = Random::new(5, "coloured", index);
    let normal = |values: Vec<f32>, shape| Array2::from_shape_vec(shape, values).unwrap().mapv(f64::from);
    let scale = Array2::from_diag(&Array1::from_shape_fn(dim, |k| (k as f64 + 1.0).powi(-power)));
    let turn = normal(random.normal(dim * dim), (dim, dim)) / (dim as f64).sqrt();
    normal(random.normal(count * dim), (count, dim)).dot(&scale).dot(&turn) + 3.0
}

#[test]
fn any_set_is_at_no_distance_from_itself_and_at_the_same_from_others_both_ways() {
    for (count, dim, power) in
        [(300, 96, 0), (300, 96, 2), (40, 96, 1), (97, 96, 1), (96, 96, 0), (2, 96, 0), (500, 3, 4)]
    {
        let (a, b) = (coloured(count, dim, power, 0), coloured(200, dim, power, 1));
        let scale = moments(&a).1.diag().sum();
        assert!(distance(&a, &a) <= 1e-9 * scale, "{count}×{dim}, {power}: {}", distance(&a, &a));
        let (one, other) = (distance(&a, &b), distance(&b, &a));
        assert!((one - other).abs() <= 1e-8 * scale, "{count}×{dim}, {power}: {one} {other}");
    }
}

#[test]
fn few_vectors_need_no_covariance() {
    let reference = Gaussian::of(coloured(400, 64, 1, 0).mapv(|value| value as f32).view()).unwrap();
    for count in [2, 10, 63, 64, 65] {
        let few = coloured(count, 64, 1, 1).mapv(|value| value as f32);
        let direct = Gaussian::of(few.view()).unwrap().frechet_distance(&reference).unwrap();
        let by_covariance = Statistics::of(few.view()).gaussian().unwrap().frechet_distance(&reference).unwrap();
        // The covariance has lost half the digits of what is near zero in it.
        assert!((direct - by_covariance).abs() < 1e-6 * direct, "{count}: {direct} {by_covariance}");
        let itself = Gaussian::of(few.view()).unwrap();
        assert!(itself.frechet_distance(&itself).unwrap() < 1e-9, "{count}");
    }
}

#[test]
fn every_song_has_its_own_distance() {
    let reference = Statistics::of(x().mapv(|value| value as f32).view()).gaussian().unwrap();
    let songs = per_song(&reference, &clips(&y(), 5));
    assert_eq!(songs.len(), 30);
    // The first five vectors of y, as in `matches_scipy_on_a_covariance_of_low_rank`, here in 32 bits.
    assert!((songs[0].as_ref().unwrap() - 7.867_481_922_981_228).abs() < 1e-5);
    assert_eq!(per_song(&reference, &clips(&y(), 1))[0], Err(FrechetError::TooFewVectors { found: 1 }));
}

/// Of `numpy` on a float16 array: 2.945 587 with the stored vectors, 2.945 591 with their mean rounded once more.
#[test]
fn rounds_as_fadtk_does() {
    let reference = |rounded: bool, set: Array2<f64>| {
        let vectors = set.mapv(|value| value as f32);
        if rounded { rounded_statistics(vectors.view()) } else { Statistics::of(stored(vectors.view()).view()) }
    };
    let stored = reference(false, x()).frechet_distance(&reference(false, y())).unwrap();
    assert!((stored - 2.945_587_336_857_016_7).abs() < 1e-9, "{stored}");
    let twice = reference(true, x()).frechet_distance(&reference(true, y())).unwrap();
    assert!((twice - 2.945_590_507_537_563_2).abs() < 1e-9, "{twice}");
}

#[test]
fn small_pieces_gather_into_the_statistics_of_the_whole() {
    let vectors = coloured(1000, 12, 1, 0).mapv(|value| value as f32);
    let mut gathering = Gathering::new(12);
    for piece in vectors.axis_chunks_iter(Axis(0), 7) {
        gathering.add(piece);
    }
    let (found, expected) = (gathering.finish(), Statistics::of(vectors.view()));
    assert_eq!(found.count(), 1000);
    let difference = found.covariance().unwrap() - expected.covariance().unwrap();
    assert!((found.mean() - expected.mean()).mapv(f64::abs).sum() < 1e-12);
    assert!(difference.mapv(f64::abs).sum() < 1e-12);
}

#[test]
fn a_draw_is_the_set_of_its_copies() {
    // Far from zero, and unlike the whole set: the mean of all lies well beside that of the draw.
    let vectors = x().mapv(|value| (value + 1000.0) as f32);
    let times = |row: usize| if vectors[(row, 0)] > 1000.0 { (row % 3) as u32 } else { 0 };
    let mut copied = Vec::new();
    for (row, vector) in vectors.outer_iter().enumerate() {
        (0..times(row)).for_each(|_| copied.extend(vector.iter().map(|value| f64::from(*value))));
    }
    let copied = Array2::from_shape_vec((copied.len() / 8, 8), copied).unwrap();
    let (mean, covariance) = moments(&copied);
    let (draws, reversed) = (Draws::of(vectors.view()), vectors.slice(s![.., ..;-1]));
    let found = draws.statistics(times);
    assert_eq!(found.count(), copied.nrows());
    assert!((found.mean() - &mean).mapv(f64::abs).sum() < 1e-9);
    assert!((found.covariance().unwrap() - &covariance).mapv(f64::abs).sum() < 1e-9);
    let expected = Gaussian::new(mean.view(), covariance.view()).unwrap();
    assert!(draws.gaussian(times).unwrap().frechet_distance(&expected).unwrap() < 1e-9);
    // Vectors that do not lie one after the other.
    let reversed = Draws::of(reversed).statistics(times).covariance().unwrap();
    assert!((reversed.slice(s![..;-1, ..;-1]).to_owned() - covariance).mapv(f64::abs).sum() < 1e-9);
}

#[test]
fn a_draw_that_has_no_distribution_is_refused() {
    let mut vectors = x().mapv(|value| value as f32);
    let one = Draws::of(vectors.view()).gaussian(|row| u32::from(row == 3)).unwrap_err();
    assert_eq!(one, FrechetError::TooFewVectors { found: 1 });
    assert_eq!(Draws::of(vectors.view()).statistics(|_| 0).count(), 0);
    vectors[(4, 2)] = f32::INFINITY;
    let error = Draws::of(vectors.view()).gaussian(|_| 1).unwrap_err();
    assert!(matches!(error, FrechetError::NotFinite { .. }), "{error}");
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
    let what = "the second covariance";
    for wrong in [-&covariance, array![[1.0, 2.0], [2.0, 1.0]], array![[0.0, 1.0], [1.0, 0.0]]] {
        let mean = Array1::zeros(wrong.nrows());
        let eye = Array2::eye(wrong.nrows());
        let error = frechet_distance(mean.view(), eye.view(), mean.view(), wrong.view()).unwrap_err();
        assert_eq!(error, FrechetError::NotACovariance { what });
    }
}
