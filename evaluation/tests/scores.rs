//! Scores over classes, captions and sets.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, array};
use nocturne_evaluation::{
    Bootstrap, ClapScoreError, ClassesError, Direction, EmbeddingError, Embeddings, FasMap, Pooling, clap_score, clas,
    clip_divergence, inception_score, inception_score_interval, kl_divergence, mean_over_clips, softmax,
};

fn logits(probabilities: &[f64]) -> Array2<f32> {
    Array2::from_shape_fn((1, probabilities.len()), |(_, class)| probabilities[class].ln() as f32)
}

/// The pairs of stable-audio-metrics' own test, and what it says of them.
#[test]
fn the_divergence_is_the_published_one() {
    let p = [0.05, 0.1, 0.2, 0.05, 0.15, 0.25, 0.08, 0.12];
    let q = [0.3, 0.1, 0.2, 0.1, 0.1, 0.02, 0.08, 0.1];
    let found = kl_divergence(Array1::from(p.to_vec()).view(), Array1::from(q.to_vec()).view());
    assert!((found - 0.589_866_315_295_013_5).abs() < 1e-12, "{found}");
    for (p, q, expected) in
        [(&p[..], &q[..], 0.589_866_340_160_369_9), (&[0.1, 0.4, 0.5], &[0.8, 0.15, 0.05], 1.335_667_371_749_878)]
    {
        let (generated, reference) = (logits(p), logits(q));
        for pooling in [Pooling::Segments, Pooling::MeanLogits, Pooling::MaxLogits] {
            let by = |direction| clip_divergence(reference.view(), generated.view(), pooling, direction).unwrap();
            assert!((by(Direction::GeneratedToReference)[0] - expected).abs() < 1e-6);
            let turned = clip_divergence(generated.view(), reference.view(), pooling, Direction::GeneratedToReference);
            assert_eq!(by(Direction::ReferenceToGenerated), turned.unwrap());
            assert!((by(Direction::ReferenceToGenerated)[0] - expected).abs() > 1e-3, "the directions differ");
        }
    }
}

#[test]
fn poolings_are_what_they_are_called() {
    let reference = array![[1.0_f32, 0.0, -1.0], [3.0, 0.0, 0.0]];
    let generated = array![[0.0_f32, 2.0, 0.0], [0.0, 0.0, 1.0]];
    let by = |pooling| clip_divergence(reference.view(), generated.view(), pooling, Direction::ReferenceToGenerated);
    let of = |a: [f32; 3], b: [f32; 3]| {
        kl_divergence(softmax(Array1::from(a.to_vec()).view()).view(), softmax(Array1::from(b.to_vec()).view()).view())
    };
    assert_eq!(
        by(Pooling::Segments).unwrap(),
        [of([1.0, 0.0, -1.0], [0.0, 2.0, 0.0]), of([3.0, 0.0, 0.0], [0.0, 0.0, 1.0])]
    );
    assert_eq!(by(Pooling::MeanLogits).unwrap(), [of([2.0, 0.0, -0.5], [0.0, 1.0, 0.5])]);
    assert_eq!(by(Pooling::MaxLogits).unwrap(), [of([3.0, 0.0, 0.0], [0.0, 2.0, 1.0])]);
    // Huge logits are no infinities.
    assert_eq!(softmax(array![1e38_f32, 0.0, -1e38].view()), array![1.0, 0.0, 0.0]);
    let short = generated.slice(ndarray::s![..1, ..]);
    let error = clip_divergence(reference.view(), short, Pooling::Segments, Direction::ReferenceToGenerated);
    assert_eq!(error, Err(ClassesError::Shape { what: "segments", found: 1, expected: 2 }));
    let nan = array![[f32::NAN, 0.0, 0.0]];
    let error = clip_divergence(reference.view(), nan.view(), Pooling::MeanLogits, Direction::ReferenceToGenerated);
    assert_eq!(error, Err(ClassesError::NotFinite));
}

#[test]
fn inception_scores_reach_from_one_to_the_number_of_classes() {
    let alike = Array2::from_elem((6, 4), 0.25);
    assert!((inception_score(alike.view()).unwrap() - 1.0).abs() < 1e-12);
    let distinct = Array2::from_shape_fn((8, 4), |(clip, class)| f64::from(u8::from(clip % 4 == class)));
    assert!((inception_score(distinct.view()).unwrap() - 4.0).abs() < 1e-12);
    let between = array![[0.5, 0.5], [0.9, 0.1]];
    let expected = |p: f64, m: f64| p * (p / m).ln();
    let mean = (expected(0.5, 0.7) + expected(0.5, 0.3) + expected(0.9, 0.7) + expected(0.1, 0.3)) / 2.0;
    assert!((inception_score(between.view()).unwrap() - mean.exp()).abs() < 1e-12);
    assert_eq!(inception_score(Array2::zeros((0, 4)).view()), Err(ClassesError::Empty));
    let interval = inception_score_interval(distinct.view(), &Bootstrap::default()).unwrap();
    assert!(interval.low < 3.9 && interval.high == 4.0, "{interval:?}");
}

#[test]
fn items_of_all_clips_count_alike() {
    let clips = [vec![1.0, 2.0, 3.0], vec![], vec![10.0]];
    let (value, interval) = mean_over_clips(&clips, &Bootstrap::default()).unwrap();
    assert_eq!(value, 4.0);
    assert!(interval.unwrap().standard_error > 1.0);
    assert!(mean_over_clips(&[vec![]], &Bootstrap::default()).is_none());
}

#[test]
fn captions_and_clips_are_paired_by_id() {
    let side = |ids: &[(&str, [f32; 2])]| -> BTreeMap<String, Array1<f32>> {
        ids.iter().map(|(id, vector)| ((*id).to_owned(), Array1::from(vector.to_vec()))).collect()
    };
    let captions = side(&[("b", [1.0, 0.0]), ("a", [0.0, 2.0]), ("c", [1.0, 1.0])]);
    let clips = side(&[("z", [0.0, 1.0]), ("a", [0.0, 3.0]), ("b", [1.0, 1.0])]);
    let score = clap_score(&captions, &clips, &Bootstrap::default()).unwrap();
    assert_eq!(score.pairs[0], ("a".to_owned(), 1.0));
    assert!((score.value - f64::midpoint(1.0, 0.5_f64.sqrt())).abs() < 1e-12);
    assert_eq!((score.captions_alone, score.clips_alone), (vec!["c".to_owned()], vec!["z".to_owned()]));
    let error = clap_score(&captions, &side(&[("x", [1.0, 0.0])]), &Bootstrap::default()).unwrap_err();
    assert!(matches!(error, ClapScoreError::NoPairs { .. }) && error.to_string().contains("\"x\""), "{error}");
}

#[test]
fn clas_is_the_mean_of_clap_and_the_chosen_map() {
    assert_eq!(clas(0.4, 0.0, FasMap::Inverse), 0.7);
    assert_eq!(clas(0.4, 3.0, FasMap::Inverse), f64::midpoint(0.4, 0.25));
    assert_eq!(clas(0.4, 1.0, FasMap::Exp), f64::midpoint(0.4, (-1.0_f64).exp()));
    assert_eq!(FasMap::Linear { zero: 20.0 }.score(5.0), 0.75);
    assert_eq!(FasMap::Linear { zero: 20.0 }.score(50.0), 0.0);
}

#[test]
fn a_set_takes_what_fits() {
    let mut set = Embeddings::new();
    set.push("a", array![[1.0, 2.0], [3.0, 4.0]].view()).unwrap();
    assert_eq!(set.push("b", array![[1.0]].view()), Err(EmbeddingError::Dimension { found: 1, expected: 2 }));
    assert_eq!(set.push("c", Array2::zeros((0, 2)).view()), Err(EmbeddingError::Empty));
    assert_eq!(set.push("d", array![[1.0, f32::INFINITY]].view()), Err(EmbeddingError::NotFinite));
    set.push("e", array![[5.0, 6.0]].view()).unwrap();
    assert_eq!((set.clips(), set.frames(), set.dim()), (2, 3, 2));
    assert_eq!(set.names(), ["a", "e"]);
    assert_eq!(set.clip(1), array![[5.0, 6.0]]);
    assert_eq!(set.clip_of_frames(), [0, 0, 1]);
    assert_eq!(Embeddings::new().vectors().nrows(), 0);
}
