use burn::tensor::{Device, Tensor};

use super::stft::{TensorStft, rectangle};
use super::{AdversariesConfig, ConstantQ};

/// What discriminators see of waveforms, beside themselves.
#[derive(Clone, Debug)]
pub enum Spectra {
    /// Magnitudes of each resolution, `[batch, 1, bin, frame]`.
    Magnitudes(Vec<Tensor<4>>),
    /// Octaves of each scale, lowest first, `[batch, 2, frame, bin]`.
    ConstantQ(Vec<Vec<Tensor<4>>>),
}

/// The transforms before the discriminators, which have nothing to learn.
#[derive(Clone, Debug)]
pub struct Transforms(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Fourier(Vec<TensorStft>),
    ConstantQ(Vec<ConstantQ>),
}

impl Transforms {
    /// Those of a valid configuration.
    pub fn new(config: &AdversariesConfig, device: &Device) -> Self {
        Self(if config.use_cqtd_instead_of_mrd {
            let scale = |(hop, octaves, bins)| ConstantQ::new(config.sampling_rate, hop, octaves, bins, device);
            Kind::ConstantQ(config.scales().map(scale).collect())
        } else {
            let resolution = |&[n_fft, hop, window]: &[usize; 3]| {
                TensorStft::new(&rectangle(n_fft, window), hop, (n_fft - hop) / 2, device)
            };
            Kind::Fourier(config.resolutions.iter().map(resolution).collect())
        })
    }

    /// # Shapes
    ///
    /// `[batch, 1, sample]` → see [`Spectra`]
    pub fn spectra(&self, wave: &Tensor<3>) -> Spectra {
        match &self.0 {
            Kind::Fourier(resolutions) => {
                let magnitudes = |stft: &TensorStft| stft.magnitude(wave.clone()).unsqueeze_dim(1);
                Spectra::Magnitudes(resolutions.iter().map(magnitudes).collect())
            }
            Kind::ConstantQ(scales) => {
                Spectra::ConstantQ(scales.iter().map(|scale| scale.octaves(wave.clone())).collect())
            }
        }
    }
}
