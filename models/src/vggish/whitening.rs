use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::checkpoint::{self, Checkpoint, CheckpointError};

/// Vectors of AudioSet lie within ±2 after whitening, in 255 steps.
const BOUND: f64 = 2.0;
const STEPS: f64 = 255.0;

/// What AudioSet's published vectors went through: principal components, whitened, in 8 bits. Fréchet distances are taken
/// of vectors without it.
#[derive(Module, Debug)]
pub struct Whitening {
    /// The components, one a row.
    pub pca_eigen_vectors: Param<Tensor<2>>,
    /// What is subtracted before.
    pub pca_means: Param<Tensor<2>>,
}

impl Whitening {
    /// From torchvggish's second file (`vggish_pca_params-970ea276.pth`), or from a model that was saved with it.
    ///
    /// # Errors
    ///
    /// If the weights are not those: see [`checkpoint::load`].
    pub fn load(from: Checkpoint, device: &Device) -> Result<Self, CheckpointError> {
        let saved_whole = from.names().any(|name| name.starts_with("pproc."));
        let from = from.rename(|name| match name.strip_prefix("pproc.") {
            Some("pca_matrix") => Some("pca_eigen_vectors".to_owned()),
            Some(own) => Some(own.to_owned()),
            None => (!saved_whole).then(|| name.to_owned()),
        })?;
        let dim = from.shape("pca_eigen_vectors").and_then(<[usize]>::first).map_or(128, |rows| *rows);
        let zeros = Initializer::Zeros;
        let empty = Self { pca_eigen_vectors: zeros.init([dim, dim], device), pca_means: zeros.init([dim, 1], device) };
        checkpoint::load(empty, &from)
    }

    /// # Shapes
    ///
    /// `[example, dim]` → the same, whole numbers of 0…255
    pub fn forward(&self, vectors: Tensor<2>) -> Tensor<2> {
        let centred = vectors.swap_dims(0, 1) - self.pca_means.val();
        let whitened = self.pca_eigen_vectors.val().matmul(centred).swap_dims(0, 1);
        ((whitened.clamp(-BOUND, BOUND) + BOUND) * (STEPS / (2.0 * BOUND))).round()
    }
}
