//! What a published implementation computed, to compare with.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;

/// Float32 in another order of summation: a few hundred roundings of 6e-8 each.
pub const TOLERANCE: f64 = 1e-4;

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The tensors of a fixture.
pub struct Taps {
    pub file: Checkpoint,
    device: Device,
}

impl Taps {
    pub fn open(file: &str, device: &Device) -> Self {
        Self { file: Checkpoint::open(&fixture(file)).unwrap(), device: device.clone() }
    }

    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape = self.file.shape(name).unwrap_or_else(|| panic!("no tap {name}")).to_vec();
        Tensor::from_data(TensorData::new(self.file.read(name).unwrap(), shape), &self.device)
    }

    #[track_caller]
    pub fn compare<const D: usize>(&self, name: &str, found: &Tensor<D>) {
        assert_eq!(self.file.shape(name), Some(&found.dims()[..]), "{name}");
        let error = self.error(name, &host(found));
        assert!(error < TOLERANCE, "{name}: relative error {error:e}");
    }

    /// The largest difference of flat values from those called `name`, over the largest of these.
    pub fn error(&self, name: &str, found: &[f32]) -> f64 {
        let expected = self.file.read(name).unwrap();
        assert_eq!(found.len(), expected.len(), "{name}");
        assert!(found.iter().all(|value| value.is_finite()), "{name}");
        let largest = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v.abs())).fold(0.0, f64::max);
        let difference = largest(&mut found.iter().zip(&expected).map(|(a, b)| a - b));
        difference / largest(&mut expected.iter().copied())
    }
}

pub fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec().unwrap()
}
