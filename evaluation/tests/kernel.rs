//! Kernel distances and neighbourhoods, against their published definitions.

#![allow(clippy::unwrap_used)]

mod golden;

use golden::{clips, x, y};
use ndarray::{Array2, ArrayView2, array, s};
use nocturne_evaluation::{
    Bootstrap, Embeddings, KAD_SCALE, Kernel, KernelDistance, Manifolds, NEAREST, median_distance,
};
use nocturne_models::random::Random;

fn distance(reference: &Embeddings, generated: &Embeddings, kernel: Kernel) -> f64 {
    KernelDistance::new(reference, generated, kernel).unwrap().value()
}

/// Of `kadtk` with its bandwidth from either set, and with 1.
#[test]
fn kad_matches_both_published_bandwidths() {
    let (reference, generated) = (clips(&x(), 10), clips(&y(), 7));
    let ours = median_distance(reference.vectors()).unwrap();
    let theirs = median_distance(generated.vectors()).unwrap();
    assert!((ours - 3.064_538_445_531_45).abs() < 1e-6, "{ours}");
    assert!((theirs - 2.945_107_264_101_636_3).abs() < 1e-6, "{theirs}");
    for (bandwidth, expected) in
        [(ours, 3.612_061_269_607_025_3), (theirs, 4.046_790_921_251_908), (1.0, 15.609_617_143_092_86)]
    {
        let found = KAD_SCALE * distance(&reference, &generated, Kernel::Gaussian { bandwidth });
        assert!((found - expected).abs() < 1e-5, "{bandwidth}: {found} {expected}");
    }
}

#[test]
fn kid_matches_the_published_kernel() {
    let first = clips(&x().slice(s![..150, ..]).to_owned(), 3);
    let found = distance(&first, &clips(&y(), 50), Kernel::Cubic);
    assert!((found - 0.479_571_405_358_866_44).abs() < 1e-5, "{found}");
}

#[test]
fn kernel_distances_do_not_see_how_vectors_are_cut_into_clips() {
    let kernel = Kernel::Gaussian { bandwidth: 2.0 };
    let expected = distance(&clips(&x(), 200), &clips(&y(), 150), kernel);
    for frames in [1, 2, 31] {
        let found = distance(&clips(&x(), 3), &clips(&y(), frames), kernel);
        assert!((found - expected).abs() < 1e-12, "{frames}: {found} {expected}");
    }
    // More vectors than fit into one block of the computation.
    let many = Array2::from_shape_vec((700, 3), Random::new(1, "many", 0).normal(2100)).unwrap();
    let naive = |a: ArrayView2<f32>, b: ArrayView2<f32>, same: bool| {
        let mut sum = 0.0;
        for (i, x) in a.outer_iter().enumerate() {
            for (_, y) in b.outer_iter().enumerate().filter(|(j, _)| !same || i != *j) {
                let squared: f64 = x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
                sum += (-squared / (2.0 * 4.0 + 1e-8)).exp();
            }
        }
        sum / (a.nrows() * (b.nrows() - usize::from(same))) as f64
    };
    let (a, b) = (many.slice(s![..300, ..]), many.slice(s![300.., ..]));
    let expected = naive(a, a, true) + naive(b, b, true) - 2.0 * naive(a, b, false);
    let found = distance(&clips(&a.mapv(f64::from), 9), &clips(&b.mapv(f64::from), 11), kernel);
    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
}

#[test]
fn the_median_is_that_of_sorting() {
    for count in [2, 3, 5, 40, 300] {
        let vectors =
            Array2::from_shape_vec((count, 2), Random::new(4, "median", count as u64).normal(2 * count)).unwrap();
        let mut all = Vec::new();
        for i in 0..count {
            for j in 0..i {
                let squared = |axis| (f64::from(vectors[(i, axis)]) - f64::from(vectors[(j, axis)])).powi(2);
                all.push((squared(0) + squared(1)).sqrt());
            }
        }
        all.sort_by(f64::total_cmp);
        let found = median_distance(vectors.view()).unwrap();
        assert!((found - all[(all.len() - 1) / 2]).abs() < 1e-6 * found, "{count}");
    }
    assert_eq!(median_distance(array![[1.0, 2.0]].view()), None);
}

#[test]
fn sets_of_one_kind_are_at_no_kernel_distance() {
    let noise = |count, index| {
        let values = Random::new(6, "kind", index).normal(5 * count).into_iter().map(f64::from).collect();
        clips(&Array2::from_shape_vec((count, 5), values).unwrap(), 6)
    };
    // The interval takes the reference as it is: it is to be much larger than the set.
    let same = KernelDistance::new(&noise(6000, 0), &noise(600, 1), Kernel::Gaussian { bandwidth: 3.0 }).unwrap();
    let interval = same.interval(&Bootstrap::default()).unwrap();
    assert!(same.value().abs() < 1e-3 && interval.low < 0.0 && 0.0 < interval.high, "{} {interval:?}", same.value());
    let one = clips(&array![[1.0, 2.0, 3.0, 4.0, 5.0]], 1);
    assert!(KernelDistance::new(&noise(600, 0), &one, Kernel::Cubic).is_none());
}

#[test]
fn neighbourhoods_match_their_definitions() {
    let (reference, generated) = (clips(&x(), 10), clips(&y(), 10));
    let (real, fake) = (x(), y());
    let squared = |a: &Array2<f64>, i: usize, b: &Array2<f64>, j: usize| -> f64 {
        a.row(i).iter().zip(b.row(j)).map(|(a, b)| (a - b).powi(2)).sum()
    };
    let radii = |set: &Array2<f64>| -> Vec<f64> {
        let of = |i: usize| {
            let mut all: Vec<f64> = (0..set.nrows()).map(|j| squared(set, i, set, j)).collect();
            all.sort_by(f64::total_cmp);
            // The nearest is the vector itself.
            all[NEAREST]
        };
        (0..set.nrows()).map(of).collect()
    };
    let (real_radii, fake_radii) = (radii(&real), radii(&fake));
    let share =
        |count: usize, test: &dyn Fn(usize) -> bool| (0..count).filter(|i| test(*i)).count() as f64 / count as f64;
    let precision = share(150, &|j| (0..200).any(|i| squared(&real, i, &fake, j) < real_radii[i]));
    let recall = share(200, &|i| (0..150).any(|j| squared(&real, i, &fake, j) < fake_radii[j]));
    let coverage = share(200, &|i| (0..150).any(|j| squared(&real, i, &fake, j) < real_radii[i]));
    let inside =
        (0..150).map(|j| (0..200).filter(|i| squared(&real, *i, &fake, j) < real_radii[*i]).count()).sum::<usize>();

    let found = Manifolds::new(&reference, &generated, NEAREST).unwrap();
    let scores = found.scores();
    assert!(0.0 < precision && precision < 1.0 && 0.0 < recall && recall < 1.0, "{precision} {recall}");
    assert!((scores.precision - precision).abs() < 1e-12);
    assert!((scores.recall - recall).abs() < 1e-12);
    assert!((scores.coverage - coverage).abs() < 1e-12);
    assert!((scores.density - inside as f64 / (NEAREST * 150) as f64).abs() < 1e-12);
    let interval = found.intervals(&Bootstrap::default()).precision.unwrap();
    assert!(interval.low < precision && precision < interval.high);
    assert!(Manifolds::new(&reference, &clips(&y(), 150), 150).is_none());
}

#[test]
fn a_set_covers_itself() {
    let set = clips(&x(), 10);
    let scores = Manifolds::new(&set, &set, NEAREST).unwrap().scores();
    assert_eq!((scores.precision, scores.recall, scores.coverage), (1.0, 1.0, 1.0));
}
