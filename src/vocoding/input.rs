//! Files of mels.

use super::Mels;
use crate::npy::{self, NpyError};
use crate::pickle::{self, PickleError};
use ndarray::Array3;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the mels of a file cannot be used.
#[derive(Debug, Error)]
pub enum InputError {
    /// A `.npy` file cannot be read.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A saved tensor cannot be read.
    #[error(transparent)]
    Saved(#[from] PickleError),
    /// A tensor is no mel.
    #[error("{}: found {found}, expected {expected}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is in it.
        found: String,
        /// What would do.
        expected: String,
    },
}

/// Reads the mels of a `.npy` file, or of a tensor or a list of tensors that `torch.save` wrote.
///
/// # Shapes
///
/// Each tensor is `[mel, frame]`, `[clip, mel, frame]` or `[clip, 1, mel, frame]`; it comes as `[clip, mel, frame]`.
pub fn read(file: &Path) -> Result<Vec<Array3<f32>>, InputError> {
    let npy = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
    let tensors = if npy {
        let npy::Array { shape, values } = npy::read::<f32>(file)?;
        vec![(shape, values)]
    } else {
        pickle::read(file)?
    };
    let content = |found: String, expected: &str| {
        Err(InputError::Content { file: file.to_owned(), found, expected: expected.to_owned() })
    };
    if tensors.is_empty() {
        return content("an empty list".to_owned(), "a mel");
    }
    let mut mels = Vec::with_capacity(tensors.len());
    for (shape, values) in tensors {
        let size = match shape[..] {
            [bands, frames] => (1, bands, frames),
            [clips, bands, frames] | [clips, 1, bands, frames] => (clips, bands, frames),
            _ => return content(format!("shape {shape:?}"), "[mel, frame], with or without [clip] before it"),
        };
        if values.iter().any(|value| !value.is_finite()) {
            return content("values that are not finite".to_owned(), "finite numbers");
        }
        match Array3::from_shape_vec(size, values) {
            Ok(mel) if !mel.is_empty() => mels.push(mel),
            _ => return content(format!("shape {shape:?}"), "at least one clip, band and frame"),
        }
    }
    Ok(mels)
}

/// Refuses a mel of other bands, or of another scale: a vocoder would make noise of it.
pub fn check(file: &Path, mel: &Array3<f32>, mels: Mels<'_>) -> Result<(), InputError> {
    let bands = match mels {
        Mels::Model(representation) => representation.shape()[0],
        Mels::Logarithms { transform, .. } => transform.config().num_mels,
    };
    let content = |found, expected| Err(InputError::Content { file: file.to_owned(), found, expected });
    if mel.dim().1 != bands {
        return content(format!("{} bands", mel.dim().1), format!("{bands}"));
    }
    let (low, high) = mel.iter().fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    // Generously: a sampler's last state is not clamped. Music that is nowhere under e⁻² does not exist.
    let (fits, expected) = match mels {
        Mels::Model(_) => (low >= -3.0 && high <= 3.0, "a model's scale, -1 to 1"),
        Mels::Logarithms { .. } => {
            (low >= -12.0 && low < -2.0 && high <= 6.0, "natural logarithms of magnitudes, -11.51 to about 2")
        }
    };
    if fits { Ok(()) } else { content(format!("values from {low} to {high}"), expected.to_owned()) }
}
