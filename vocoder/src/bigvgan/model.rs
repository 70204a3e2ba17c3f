use burn::module::Module;
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d, Conv1dConfig, ConvTranspose1d, ConvTranspose1dConfig};
use burn::tensor::{Device, Tensor};
use nocturne_models::ops::{conv_transpose1d, conv1d};

use super::{AmpBlock, AntiAliased, BigVganConfig};

/// Samples on each side that the first and the last convolution read.
pub(super) const OUTER_REACH: usize = 3;

/// From log-mels to waveforms: stages that lengthen and refine.
#[derive(Module, Debug)]
pub struct Generator {
    /// From mel bands to channels.
    pub conv_pre: Conv1d,
    /// Lengthens, in each stage; a list of one, as published.
    pub ups: Vec<[ConvTranspose1d; 1]>,
    /// Some in parallel in each stage, those of the first stage first.
    pub resblocks: Vec<AmpBlock>,
    /// Before the last convolution.
    pub activation_post: AntiAliased,
    /// To one channel.
    pub conv_post: Conv1d,
    /// Whether a hyperbolic tangent bounds the samples; they are clipped otherwise.
    pub use_tanh_at_final: bool,
}

impl Generator {
    pub(super) fn new(config: &BigVganConfig, device: &Device) -> Self {
        let stages = config.upsample_rates.len();
        let outer = |channels: [usize; 2], bias| {
            Conv1dConfig::new(channels[0], channels[1], 2 * OUTER_REACH + 1)
                .with_padding(PaddingConfig1d::Explicit(OUTER_REACH, OUTER_REACH))
                .with_bias(bias)
                .init(device)
        };
        let up = |stage: usize| {
            let (rate, kernel) = (config.upsample_rates[stage], config.upsample_kernel_sizes[stage]);
            let input = config.upsample_initial_channel >> stage;
            [ConvTranspose1dConfig::new([input, config.channels(stage)], kernel)
                .with_stride(rate)
                .with_padding((kernel - rate) / 2)
                .init(device)]
        };
        let blocks = (0..stages).flat_map(|stage| (0..config.resblock_kernel_sizes.len()).map(move |b| (stage, b)));
        let last = config.channels(stages - 1);
        Self {
            conv_pre: outer([config.mel.num_mels, config.upsample_initial_channel], true),
            ups: (0..stages).map(up).collect(),
            resblocks: blocks.map(|(stage, block)| AmpBlock::new(config, stage, block, device)).collect(),
            activation_post: config.activation(last, device),
            conv_post: outer([last, 1], config.use_bias_at_final),
            use_tanh_at_final: config.use_tanh_at_final,
        }
    }

    /// # Shapes
    ///
    /// `[batch, mel, frame]`, natural logarithms of magnitudes → `[batch, 1, sample]`, −1…1
    pub fn forward(&self, mel: Tensor<3>) -> Tensor<3> {
        let stages = 0..self.ups.len();
        self.samples(stages.fold(self.embed(mel), |hidden, stage| self.stage(stage, hidden)))
    }

    /// # Shapes
    ///
    /// `[batch, mel, frame]` → `[batch, channel, frame]`
    pub fn embed(&self, mel: Tensor<3>) -> Tensor<3> {
        conv1d(&self.conv_pre, mel)
    }

    /// Lengthens, and takes the mean of the stage's blocks.
    ///
    /// # Shapes
    ///
    /// `[batch, channel, sample]` → `[batch, channel / 2, sample · rate]`
    pub fn stage(&self, stage: usize, hidden: Tensor<3>) -> Tensor<3> {
        let [up] = &self.ups[stage];
        let hidden = conv_transpose1d(up, hidden);
        let count = self.resblocks.len() / self.ups.len();
        let blocks = self.resblocks[stage * count..][..count].iter();
        let sum = blocks.map(|block| block.forward(hidden.clone())).reduce(|sum, next| sum + next);
        sum.unwrap_or(hidden) / count as f32
    }

    /// # Shapes
    ///
    /// `[batch, channel, sample]` → `[batch, 1, sample]`
    pub fn samples(&self, hidden: Tensor<3>) -> Tensor<3> {
        let samples = conv1d(&self.conv_post, self.activation_post.forward(hidden));
        if self.use_tanh_at_final { samples.tanh() } else { samples.clamp(-1.0, 1.0) }
    }
}
