use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use nocturne_models::ops::conv2d;

use super::AdversariesConfig;
use super::config::width;
use super::layers::{Judgement, convolution, stack};

/// Channels of every layer, times the configuration's multiple.
const WIDTH: usize = 32;

/// One discriminator a resolution.
#[derive(Module, Debug)]
pub struct MultiResolution {
    /// In the order of the configuration.
    pub discriminators: Vec<Resolution>,
}

/// Judges the magnitudes of a short-time Fourier transform.
#[derive(Module, Debug)]
pub struct Resolution {
    /// Five, three of them with stride two in time.
    pub convs: Vec<Conv2d>,
    /// To the verdict.
    pub conv_post: Conv2d,
}

impl MultiResolution {
    pub(super) fn new(config: &AdversariesConfig, device: &Device) -> Self {
        let multiple = config.mrd_channel_mult.unwrap_or(config.discriminator_channel_mult);
        let channels = width(WIDTH, multiple);
        Self { discriminators: config.resolutions.iter().map(|_| Resolution::new(channels, device)).collect() }
    }

    /// # Shapes
    ///
    /// Magnitudes `[batch, 1, bin, frame]` of each resolution → a judgement each
    pub fn forward(&self, magnitudes: &[Tensor<4>]) -> Vec<Judgement> {
        let pairs = self.discriminators.iter().zip(magnitudes);
        pairs.map(|(discriminator, magnitudes)| discriminator.forward(magnitudes.clone())).collect()
    }
}

impl Resolution {
    fn new(width: usize, device: &Device) -> Self {
        let wide = |input, stride| convolution([input, width], [3, 9], [1, stride], [1, 1], device);
        let square = |output| convolution([width, output], [3, 3], [1, 1], [1, 1], device);
        let convs = vec![wide(1, 1), wide(width, 2), wide(width, 2), wide(width, 2), square(width)];
        Self { convs, conv_post: square(1) }
    }

    /// # Shapes
    ///
    /// Magnitudes `[batch, 1, bin, frame]` → layers `[batch, channel, bin, frame / stride]`
    pub fn forward(&self, magnitudes: Tensor<4>) -> Judgement {
        let mut features = Vec::with_capacity(self.convs.len() + 1);
        let verdict = conv2d(&self.conv_post, stack(&self.convs, magnitudes, &mut features));
        features.push(verdict.clone());
        Judgement { verdict, features }
    }
}
