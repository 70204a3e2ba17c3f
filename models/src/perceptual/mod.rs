//! How different two pictures look or sound, beyond the sum of their pixels' differences: what an autoencoder is trained
//! with, so that it keeps textures that a pixel loss would blur.

mod lpips;
mod spectral;
mod vgg;

use burn::tensor::Tensor;

use crate::network::{ConfigError, check};

pub use lpips::Lpips;
pub use spectral::Spectral;
pub use vgg::Vgg16;

/// A perceptual distance.
pub enum Perceptual {
    /// Gradients and patch-wise spectra at several scales. Needs no weights.
    Spectral(Box<Spectral>),
    /// LPIPS over VGG16, trained on photographs; from the user's files.
    Lpips(Lpips),
}

impl Perceptual {
    /// The distance of each picture in `made` from its original, differentiable in `made`.
    ///
    /// # Shapes
    ///
    /// Two of `[batch, channel, height, width]` in −1…1 → `[batch]`
    pub fn distance(&self, made: Tensor<4>, original: Tensor<4>) -> Tensor<1> {
        match self {
            Self::Spectral(spectral) => spectral.distance(made, original),
            Self::Lpips(lpips) => lpips.distance(made, original),
        }
    }

    /// Checks that pictures of these channels, height and width can be compared.
    ///
    /// # Errors
    ///
    /// If VGG16 cannot see them.
    pub fn check_shape(&self, [channels, height, width]: [usize; 3]) -> Result<(), ConfigError> {
        match self {
            Self::Spectral(_) => Ok(()),
            Self::Lpips(_) => {
                check("in_channels", matches!(channels, 1 | 3), channels, "1 or 3 for LPIPS")?;
                let least = vgg::LEAST_SIDE;
                let fits = height.min(width) >= least;
                check("sample_size", fits, format_args!("{height}×{width}"), format!("at least {least} for LPIPS"))
            }
        }
    }
}
