use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use nocturne_models::ops::anti_aliased_snake;

use super::filter::kaiser_sinc;

/// The parameters of x + sin²(αx) / β, one α and one β a channel (Ziyin, Hartwig and Ueda, "Neural Networks Fail to Learn
/// Periodic Functions and How to Fix It", 2020; with a β of its own, Lee et al., "BigVGAN", 2023).
#[derive(Module, Debug)]
pub struct Snake {
    /// How fast the sine is.
    pub alpha: Param<Tensor<1>>,
    /// How small; α where absent.
    pub beta: Option<Param<Tensor<1>>>,
    /// Whether both are stored as logarithms.
    pub logscale: bool,
}

/// A [`Snake`] at twice the rate, between a low-pass filter up and one down, so that the harmonics that it makes do not fold
/// back.
#[derive(Module, Debug)]
pub struct AntiAliased {
    /// The activation.
    pub act: Snake,
}

impl Snake {
    /// α and β themselves.
    fn alpha_beta(&self) -> [Tensor<1>; 2] {
        let alpha = self.alpha.val();
        let beta = self.beta.as_ref().map_or_else(|| alpha.clone(), Param::val);
        if self.logscale { [alpha.exp(), beta.exp()] } else { [alpha, beta] }
    }
}

impl AntiAliased {
    /// Samples on each side that an output depends on.
    pub(super) const REACH: usize = 5;

    pub(super) fn new(channels: usize, beta: bool, logscale: bool, device: &Device) -> Self {
        let parameter = || if logscale { Initializer::Zeros } else { Initializer::Ones }.init([channels], device);
        Self { act: Snake { alpha: parameter(), beta: beta.then(parameter), logscale } }
    }

    /// # Shapes
    ///
    /// `[batch, channel, sample]` → the same
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [alpha, beta] = self.act.alpha_beta();
        let filter = kaiser_sinc(&x.device());
        anti_aliased_snake(x, alpha, beta, filter.clone(), filter)
    }
}
