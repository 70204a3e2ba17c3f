//! FAD-inf, and the uncertainty of distances.

#![allow(clippy::unwrap_used)]

mod golden;

use golden::{clips, x, y};
use ndarray::{Array2, s};
use nocturne_evaluation::{Bootstrap, FadInfinity, FadInfinityError, Gaussian, frechet_interval, line};
use nocturne_models::random::Random;

fn noise(count: usize, dim: usize, index: u64) -> Array2<f32> {
    Array2::from_shape_vec((count, dim), Random::new(2, "noise", index).normal(count * dim)).unwrap()
}

/// `numpy.linspace(500, 3000, 25)` and `numpy.polyfit`.
#[test]
fn the_line_is_that_of_the_published_procedure() {
    let sizes = FadInfinity::default().sizes(3000).unwrap();
    assert_eq!(
        sizes,
        [
            500, 604, 708, 812, 916, 1020, 1125, 1229, 1333, 1437, 1541, 1645, 1750, 1854, 1958, 2062, 2166, 2270,
            2375, 2479, 2583, 2687, 2791, 2895, 3000
        ]
    );
    let points: Vec<(usize, f64)> =
        sizes.iter().map(|size| (*size, 2.5 + 120.0 / *size as f64 + 0.01 * (*size as f64).sin())).collect();
    let line = line(&points);
    assert!((line.intercept - 2.500_156_270_687_927).abs() < 1e-10, "{line:?}");
    assert!((line.slope - 119.769_417_747_266_26).abs() < 1e-7, "{line:?}");
    assert!((line.r2 - 0.978_543_405_365_096_7).abs() < 1e-10, "{line:?}");
}

#[test]
fn infinity_takes_the_bias_of_small_sets_away() {
    let reference = Gaussian::of(noise(20_000, 16, 0).view()).unwrap();
    let set = noise(3000, 16, 1);
    let settings = FadInfinity { points: 10, replicates: 4, ..FadInfinity::default() };
    let result = settings.run(&reference, set.view()).unwrap();
    let small = Gaussian::of(set.slice(s![..500, ..])).unwrap().frechet_distance(&reference).unwrap();
    assert!(result.value.abs() * 3.0 < small, "{} {small}", result.value);
    assert_eq!((result.lines.len(), result.points.len()), (4, 10));
    assert_eq!(settings.run(&reference, set.view()).unwrap(), result, "one seed, one result");
    let other = FadInfinity { seed: 1, ..settings }.run(&reference, set.view()).unwrap();
    assert_ne!(other.value, result.value);
}

#[test]
fn infinity_needs_more_than_the_smallest_size() {
    let reference = Gaussian::of(noise(600, 4, 0).view()).unwrap();
    let error = FadInfinity::default().run(&reference, noise(500, 4, 1).view()).unwrap_err();
    assert_eq!(error, FadInfinityError::TooFewVectors { smallest: 500, found: 500 });
    assert_eq!(error.to_string(), "FAD-inf needs more than 500 vectors, found 500");
}

#[test]
fn the_interval_of_a_mean_is_that_of_statistics() {
    let values: Vec<f64> = Random::new(1, "values", 0).normal(400).into_iter().map(f64::from).collect();
    let mean = |times: &[u32]| {
        Some(
            values.iter().zip(times).map(|(value, times)| value * f64::from(*times)).sum::<f64>() / values.len() as f64,
        )
    };
    let estimate = values.iter().sum::<f64>() / 400.0;
    let bootstrap = Bootstrap { replicates: 2000, ..Bootstrap::default() };
    let interval = bootstrap.interval(400, estimate, mean).unwrap();
    // σ/√n is a twentieth.
    assert!((interval.standard_error - 0.05).abs() < 0.005, "{interval:?}");
    assert!((interval.low - (estimate - 0.098)).abs() < 0.01, "{interval:?}");
    assert!((interval.high - (estimate + 0.098)).abs() < 0.01, "{interval:?}");
    assert_eq!(bootstrap.interval(400, estimate, mean), Some(interval));
    assert_eq!(bootstrap.interval(1, estimate, |_| Some(1.0)), None);
    assert_eq!(Bootstrap { replicates: 0, ..bootstrap }.interval(400, estimate, mean), None);
}

/// Of few clips in many dimensions every replicate is farther away than the set.
#[test]
fn the_interval_of_a_distance_holds_it_however_few_clips_there_are() {
    let reference = Gaussian::of(noise(2000, 32, 0).view()).unwrap();
    let set = clips(&noise(24, 32, 1).mapv(f64::from), 1);
    let estimate = Gaussian::of(set.vectors()).unwrap().frechet_distance(&reference).unwrap();
    let interval = frechet_interval(&reference, &set, estimate, &Bootstrap::default()).unwrap();
    assert!(0.0 < interval.low && interval.low < estimate && estimate < interval.high, "{estimate} {interval:?}");
}

#[test]
fn the_interval_of_a_distance_holds_the_distance_of_an_unlimited_set() {
    let reference = Gaussian::of(noise(20_000, 4, 0).view()).unwrap();
    let set = clips(&(noise(400, 4, 1).mapv(f64::from) * 1.5), 4);
    let estimate = Gaussian::of(set.vectors()).unwrap().frechet_distance(&reference).unwrap();
    let interval = frechet_interval(&reference, &set, estimate, &Bootstrap::default()).unwrap();
    // 4 (1.5 − 1)².
    assert!(interval.low < 1.0 && 1.0 < interval.high, "{interval:?}");
    assert!(interval.high - interval.low < 0.5, "{interval:?}");
    let near = frechet_interval(
        &Gaussian::of(clips(&x(), 1).vectors()).unwrap(),
        &clips(&y(), 10),
        0.0,
        &Bootstrap::default(),
    );
    assert!(near.unwrap().low >= 0.0);
}
