use crate::npy::{Mapped, NpyError};
use nocturne_models::random::Random;
use nocturne_models::vae::LatentSpread;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Rows a file.
pub(super) const ROWS: usize = 1024;

/// What says that the latents are complete.
pub(super) const DESCRIPTION: &str = "latents.json";

/// How many examples the scale is measured from.
const SCALE_SAMPLES: usize = 512;

/// Latents that cannot be read.
#[derive(Debug, Error)]
pub enum LatentsError {
    /// A file of moments.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// The file system refused.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The files are not what they should be.
    #[error("`{path}`: found {found}, expected {expected}; remove the folder to have it made again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
}

/// `latents.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Description {
    /// Examples.
    pub rows: usize,
    /// `[channel, height, width]` of a latent.
    pub shape: [usize; 3],
    /// SHA-256 of the VAE's configuration and weights.
    pub vae_sha256: String,
}

/// The file of the rows from `ROWS · index` on.
pub(super) fn file(folder: &Path, index: usize) -> PathBuf {
    folder.join(format!("moments-{index:05}.npy"))
}

/// A dataset's latents; they stay on disk.
pub struct Latents {
    files: Vec<Mapped>,
    rows: usize,
    shape: [usize; 3],
}

impl Latents {
    /// Opens a complete folder of latents.
    pub(super) fn open(folder: &Path, description: &Description) -> Result<Self, LatentsError> {
        let Description { rows, shape: shape @ [channels, height, width], .. } = *description;
        let mut files = Vec::new();
        for index in 0..rows.div_ceil(ROWS) {
            let path = file(folder, index);
            let mapped = Mapped::open(&path)?;
            let expected = [ROWS.min(rows - index * ROWS), 2 * channels, height, width];
            if mapped.shape() != expected {
                let (found, expected) = (format!("{:?}", mapped.shape()), format!("{expected:?}"));
                return Err(LatentsError::Damaged { path, found, expected });
            }
            files.push(mapped);
        }
        Ok(Self { files, rows, shape })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// `[channel, height, width]` of a latent.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Draws latent `index` from its posterior, as the VAE gives it (not scaled).
    ///
    /// # Panics
    /// If `out` has another length than a latent.
    pub fn sample(&self, index: usize, draws: &mut Random, out: &mut [f32]) {
        let size: usize = self.shape.iter().product();
        assert_eq!(out.len(), size, "a latent of {:?}", self.shape);
        let moments: Vec<f32> = self.files[index / ROWS].row(index % ROWS).collect();
        let (means, logarithms) = moments.split_at(size);
        draws.fill_normal(out);
        for ((value, mean), logarithm) in out.iter_mut().zip(means).zip(logarithms) {
            *value = mean + libm::expf(0.5 * logarithm.clamp(-30.0, 20.0)) * *value;
        }
    }

    /// What they are multiplied by to have a standard deviation of one, from up to 512 examples spread over the dataset:
    /// see [`LatentSpread::scaling_factor`]. One, where all are the same.
    pub fn scaling_factor(&self) -> f64 {
        let size: usize = self.shape.iter().product();
        let mut spread = LatentSpread::default();
        for index in (0..self.rows).step_by(self.rows.div_ceil(SCALE_SAMPLES).max(1)) {
            let moments: Vec<f32> = self.files[index / ROWS].row(index % ROWS).collect();
            let (means, logarithms) = moments.split_at(size);
            spread.add(means.iter().copied(), logarithms.iter().map(|logarithm| logarithm.clamp(-30.0, 20.0)));
        }
        spread.scaling_factor().unwrap_or(1.0)
    }
}
