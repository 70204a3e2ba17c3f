use burn::tensor::{Device, Tensor};

use super::stft::{TensorStft, hann};

/// Transform, hop and window of each resolution.
const RESOLUTIONS: [[usize; 3]; 3] = [[1024, 120, 600], [2048, 240, 1200], [512, 50, 240]];
/// The least power of a bin.
const LEAST: f32 = 1e-8;

/// The multi-resolution distance of Fourier magnitudes (Yamamoto, Song and Kim, "Parallel `WaveGAN`", 2020), which BigVGAN's
/// authors report: of three resolutions the mean of the spectral convergence and of the mean absolute difference of natural
/// logarithms.
#[derive(Clone, Debug)]
pub struct StftDistance(Vec<TensorStft>);

impl StftDistance {
    /// The fewest samples that it can compare.
    pub const LEAST_SAMPLES: usize = 1025;

    /// Plans the transforms.
    pub fn new(device: &Device) -> Self {
        let resolution = |[n_fft, hop, length]: [usize; 3]| {
            let mut window = vec![0.0; n_fft];
            window[(n_fft - length) / 2..][..length].copy_from_slice(&hann(length));
            TensorStft::new(&window, hop, n_fft / 2, device)
        };
        Self(RESOLUTIONS.into_iter().map(resolution).collect())
    }

    /// How far `made` is from `wave`, of [`Self::LEAST_SAMPLES`] or more: 0 and more.
    ///
    /// # Shapes
    ///
    /// Two of `[batch, 1, sample]` → `[1]`
    pub fn distance(&self, made: &Tensor<3>, wave: &Tensor<3>) -> Tensor<1> {
        let terms = self.0.iter().map(|stft| {
            let [made, wave] = [made, wave].map(|wave| stft.power(wave.clone()).clamp_min(LEAST).sqrt());
            let convergence = (wave.clone() - made.clone()).square().sum().sqrt() / wave.clone().square().sum().sqrt();
            convergence + (wave.log() - made.log()).abs().mean()
        });
        Tensor::cat(terms.collect(), 0).mean()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn half_as_loud_is_a_half_and_a_logarithm_of_two_away() {
        let device = Device::flex();
        let wave = Tensor::<3>::random([2, 1, 4096], Distribution::Uniform(-1.0, 1.0), &device);
        let measure = StftDistance::new(&device);
        let distance = |made: &Tensor<3>| measure.distance(made, &wave).into_scalar::<f32>();
        assert!(distance(&wave).abs() < 1e-6);
        let expected = 0.5 + std::f32::consts::LN_2;
        let found = distance(&(wave.clone() * 0.5));
        assert!((found - expected).abs() < 1e-3, "{found} is not {expected}");
    }
}
