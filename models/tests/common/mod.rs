//! What the tests of the operations share.
#![allow(dead_code, clippy::unwrap_used)]

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::random::Random;

/// Normal numbers from the stream called `name`.
pub fn normal<const D: usize>(shape: [usize; D], name: &str, device: &Device) -> Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    Random::new(7, name, 0).fill_normal(&mut values);
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Asserts that two vectors differ by less than `tolerance` of the larger one's norm.
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let scale = norm(&mut expected.iter().map(|value| f64::from(*value)));
    // Written so that a NaN fails.
    assert!(difference <= tolerance * scale.max(1e-30), "{what}: {difference:e} of {scale:e}");
}

pub fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}
