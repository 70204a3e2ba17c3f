use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::{AutoencoderKlConfig, Decoder, Encoder, Posterior};
use crate::ops::conv2d;

/// The autoencoder: pictures to latents and back.
#[derive(Module, Debug)]
pub struct AutoencoderKl {
    /// From a sample to moments.
    pub encoder: Encoder,
    /// From latents to a sample.
    pub decoder: Decoder,
    /// Between the encoder and the posterior, a 1×1 convolution.
    pub quant_conv: Option<Conv2d>,
    /// Between the latents and the decoder, a 1×1 convolution.
    pub post_quant_conv: Option<Conv2d>,
}

impl AutoencoderKl {
    pub(super) fn new(config: &AutoencoderKlConfig, device: &Device) -> Self {
        let latent = config.latent_channels;
        let pointwise = |channels| Conv2dConfig::new([channels, channels], [1, 1]).init(device);
        Self {
            encoder: Encoder::new(config, device),
            decoder: Decoder::new(config, device),
            quant_conv: config.use_quant_conv.then(|| pointwise(2 * latent)),
            post_quant_conv: config.use_post_quant_conv.then(|| pointwise(latent)),
        }
    }

    /// The posterior of the latents of a sample.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]` → `[batch, latent, height / factor, width / factor]`
    ///
    /// # Panics
    ///
    /// If the shapes do not fit the network: [`AutoencoderKlConfig::check_size`] tells before.
    pub fn encode(&self, sample: Tensor<4>) -> Posterior {
        let [_, _, height, width] = sample.dims();
        let factor = 1 << (self.encoder.down_blocks.len() - 1);
        assert!(
            height.is_multiple_of(factor) && width.is_multiple_of(factor),
            "a sample of {height}×{width} cannot be made {factor} times smaller"
        );
        Posterior::of(pointwise(self.quant_conv.as_ref(), self.encoder.forward(sample)))
    }

    /// The sample of latents, as they come from a posterior: not scaled.
    ///
    /// # Shapes
    ///
    /// `[batch, latent, height, width]` → `[batch, out, factor · height, factor · width]`
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        conv2d(&self.decoder.conv_out, self.features(latents))
    }

    /// What the decoder's last convolution makes the sample of: see [`Decoder::features`].
    ///
    /// # Shapes
    ///
    /// `[batch, latent, height, width]` → `[batch, channel, factor · height, factor · width]`
    pub fn features(&self, latents: Tensor<4>) -> Tensor<4> {
        self.decoder.features(pointwise(self.post_quant_conv.as_ref(), latents))
    }
}

fn pointwise(layer: Option<&Conv2d>, input: Tensor<4>) -> Tensor<4> {
    match layer {
        Some(layer) => conv2d(layer, input),
        None => input,
    }
}
