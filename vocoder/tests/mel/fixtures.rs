use std::path::Path;

use ndarray::Array2;
use safetensors::SafeTensors;

/// One fixture file.
pub struct Fixture(Vec<u8>);

impl Fixture {
    pub fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mel/fixtures").join(name);
        Self(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tensors().names().into_iter().map(ToString::to_string).collect();
        names.sort();
        names
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.tensors().tensor(name).unwrap().data().to_vec()
    }

    pub fn integers(&self, name: &str) -> Vec<usize> {
        self.bytes(name).as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as usize).collect()
    }

    pub fn vector(&self, name: &str) -> Vec<f32> {
        self.bytes(name).as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    pub fn matrix(&self, name: &str) -> Array2<f32> {
        let shape = self.tensors().tensor(name).unwrap().shape().to_vec();
        Array2::from_shape_vec((shape[0], shape[1]), self.vector(name)).unwrap()
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }
}
