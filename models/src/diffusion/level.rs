//! A noise level: how much of a sample and how much noise there is.

use burn::tensor::Tensor;

/// The level of x = signal·x₀ + noise·ε.
///
/// Diffusion keeps signal² + noise² = 1, rectified flow signal + noise = 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseLevel {
    /// What x₀ is multiplied by: √ᾱ of diffusion.
    pub signal_rate: f32,
    /// What ε is multiplied by: √(1−ᾱ) of diffusion, σ of rectified flow.
    pub noise_rate: f32,
    /// The signal's power before its root was rounded: ᾱ, which the formulas of DDPM and DDIM are written in.
    pub alpha_bar: f32,
}

impl NoiseLevel {
    /// No noise.
    pub const CLEAN: Self = Self { signal_rate: 1.0, noise_rate: 0.0, alpha_bar: 1.0 };

    /// The level of diffusion with this ᾱ.
    pub fn from_alpha_bar(alpha_bar: f32) -> Self {
        Self { signal_rate: alpha_bar.sqrt(), noise_rate: (1.0 - alpha_bar).sqrt(), alpha_bar }
    }

    /// The level of diffusion whose noise is σ times its signal (Karras et al., arXiv 2206.00364).
    pub fn from_sigma(sigma: f32) -> Self {
        let signal_rate = 1.0 / (sigma * sigma + 1.0).sqrt();
        Self { signal_rate, noise_rate: sigma * signal_rate, alpha_bar: signal_rate * signal_rate }
    }

    /// The level of rectified flow a share σ of the way from sample to noise (Liu et al., arXiv 2209.03003).
    pub fn from_flow(sigma: f32) -> Self {
        let signal_rate = 1.0 - sigma;
        Self { signal_rate, noise_rate: sigma, alpha_bar: signal_rate * signal_rate }
    }

    /// Noise over signal: σ of Karras et al.
    pub fn sigma(self) -> f32 {
        self.noise_rate / self.signal_rate
    }

    /// λ = ln signal − ln noise, half the logarithm of the signal-to-noise ratio; infinite without noise.
    pub fn lambda(self) -> f32 {
        libm::logf(self.signal_rate) - libm::logf(self.noise_rate)
    }

    /// Signal power over noise power.
    pub fn snr(self) -> f32 {
        (self.signal_rate / self.noise_rate).powi(2)
    }

    /// signal·x₀ + noise·ε.
    ///
    /// # Shapes
    /// - samples, noise, output: `[batch, channel, height, width]`
    pub fn mix(self, samples: Tensor<4>, noise: Tensor<4>) -> Tensor<4> {
        samples * self.signal_rate + noise * self.noise_rate
    }
}
