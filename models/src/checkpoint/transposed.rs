use std::sync::Arc;

use super::values::{Source, Stored};
use super::{Checkpoint, CheckpointError};
use crate::parameters::transpose;

/// Another matrix, its rows as columns.
#[derive(Debug)]
pub(super) struct Transposed {
    matrix: Arc<Stored>,
    /// Once it is transposed.
    shape: [usize; 2],
}

impl Transposed {
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let [rows, columns] = self.shape;
        Ok(transpose(&self.matrix.read(name)?, columns, rows))
    }
}

impl Checkpoint {
    /// The same weights with the matrix `name`, which a published network multiplies from the other side than a linear layer
    /// does, as a layer's weight `layer`. Where it is absent, all stay as they are.
    ///
    /// # Errors
    ///
    /// If it is no matrix, or the layer's weight is there as well.
    pub fn transpose(mut self, name: &str, layer: &str) -> Result<Self, CheckpointError> {
        let Some(matrix) = self.tensors.remove(name) else { return Ok(self) };
        let &[rows, columns] = matrix.shape() else {
            return Err(CheckpointError::tensor(&self.path, name, format!("shape {:?}", matrix.shape()), "a matrix"));
        };
        let file = matrix.file.clone();
        let source = Source::Transposed(Transposed { matrix, shape: [columns, rows] });
        self.add(layer.to_owned(), file, source)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::file;

    #[test]
    fn a_matrix_becomes_a_weight() {
        let (_folder, weights) = file(&[("proj", &[2, 3]), ("b.weight", &[1])]);
        let turned = weights.transpose("proj", "proj.weight").unwrap().transpose("absent", "b.weight").unwrap();
        assert_eq!(turned.names().collect::<Vec<_>>(), ["b.weight", "proj.weight"]);
        assert_eq!(turned.shape("proj.weight"), Some(&[3, 2][..]));
        assert_eq!(turned.read("proj.weight").unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }

    #[test]
    fn what_is_no_matrix_or_there_twice_is_named() {
        let (_folder, weights) = file(&[("a", &[6]), ("b", &[2, 3]), ("b.weight", &[3, 2])]);
        let message = weights.clone().transpose("a", "a.weight").unwrap_err().to_string();
        assert!(message.contains("tensor a: found shape [6]"), "{message}");
        let message = weights.transpose("b", "b.weight").unwrap_err().to_string();
        assert!(message.contains("tensor b.weight: "), "{message}");
    }
}
