//! The outputs of a published network's stages, and how far ours are from them.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;

pub struct Taps {
    file: Checkpoint,
    tolerance: f64,
}

impl Taps {
    pub fn open(path: &Path, tolerance: f64) -> Self {
        Self { file: Checkpoint::open(path).unwrap(), tolerance }
    }

    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape = self.file.shape(name).unwrap_or_else(|| panic!("no tap {name}")).to_vec();
        Tensor::from_data(TensorData::new(self.file.read(name).unwrap(), shape), &Device::flex())
    }

    pub fn compare<const D: usize>(&self, name: &str, found: &Tensor<D>) {
        assert_eq!(self.file.shape(name), Some(&found.dims()[..]), "{name}");
        let error = relative_error(&host(found), &self.file.read(name).unwrap());
        assert!(error < self.tolerance, "{name}: relative error {error:e}");
    }
}

/// The largest difference over the largest value.
pub fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v.abs())).fold(0.0, f64::max);
    assert!(found.iter().all(|value| value.is_finite()));
    largest(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / largest(&mut expected.iter().copied())
}

pub fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec().unwrap()
}
