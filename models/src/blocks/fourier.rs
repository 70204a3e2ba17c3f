use std::convert::Infallible;
use std::f32::consts::PI;

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::parameters;
use crate::random::Random;

/// Sinusoids of a timestep at frequencies that were drawn once and are never trained (`GaussianFourierProjection` of
/// diffusers; Tancik et al., "Fourier Features Let Networks Learn High Frequency Functions", 2020).
#[derive(Module, Debug)]
pub struct FourierProjection {
    /// The frequencies.
    pub weight: Param<Tensor<1>>,
    /// Cosines before sines.
    pub cosine_first: bool,
}

impl FourierProjection {
    pub(crate) fn new(frequencies: usize, cosine_first: bool, device: &Device) -> Self {
        Self { weight: Initializer::Zeros.init([frequencies], device), cosine_first }
    }

    /// Draws the frequencies, normal of deviation 1.
    #[must_use]
    pub(crate) fn initialised(self, random: &mut Random) -> Self {
        match parameters::fill(self, |_, shape| Ok::<_, Infallible>(random.normal(shape[0]))) {
            Ok(projection) => projection,
            Err(never) => match never {},
        }
    }

    /// # Shapes
    ///
    /// `[batch]` → `[batch, 2 · frequency]`
    pub fn forward(&self, timesteps: Tensor<1>) -> Tensor<2> {
        let frequencies = self.weight.val().detach().unsqueeze_dim::<2>(0);
        // In this order, as the published networks were trained: at t = 999 a rounding is visible.
        let angles = timesteps.unsqueeze_dim::<2>(1) * frequencies * 2.0 * PI;
        let (sines, cosines) = (angles.clone().sin(), angles.cos());
        Tensor::cat(if self.cosine_first { vec![cosines, sines] } else { vec![sines, cosines] }, 1)
    }
}
