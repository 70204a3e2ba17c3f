use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::UNet2DConditionConfig;
use crate::blocks::unet::{Context, DownBlock, Ladder, MidBlock, Skips, UpBlock};
use crate::blocks::{Activation, FourierProjection, TimestepEmbedding, new_norm, sinusoids};
use crate::diffusion::{Condition, Network};
use crate::ops::{conv2d, linear};

/// The network that predicts, from encodings and a noisy sample, what it was trained to predict.
#[derive(Module, Debug)]
pub struct UNet2DCondition {
    /// From the sample's channels to the first block's.
    pub conv_in: Conv2d,
    /// From timesteps to sinusoids of drawn frequencies, where those are not given.
    pub time_proj: Option<FourierProjection>,
    /// From sinusoids to the time embedding.
    pub time_embedding: TimestepEmbedding,
    /// From the condition's width to that of the attentions, where they differ.
    pub encoder_hid_proj: Option<Linear>,
    /// From the largest resolution to the smallest.
    pub down_blocks: Vec<DownBlock>,
    /// At the smallest resolution.
    pub mid_block: MidBlock,
    /// From the smallest resolution to the largest.
    pub up_blocks: Vec<UpBlock>,
    /// Normalises the output, but where all blocks have groups of their own.
    pub conv_norm_out: Option<GroupNorm>,
    /// To the prediction's channels.
    pub conv_out: Conv2d,
    /// Of the normalised output.
    #[module(skip)]
    pub conv_act: Activation,
    /// Of the time embedding.
    #[module(skip)]
    pub time_embed_act: Option<Activation>,
    /// Whether inputs of 0…1 are mapped to −1…1 first.
    pub center_input_sample: bool,
    /// Number of sinusoids.
    pub sinusoids: usize,
    /// Shift of the sinusoids' frequencies.
    pub freq_shift: f64,
    /// Cosines before sines.
    pub flip_sin_to_cos: bool,
}

impl UNet2DCondition {
    pub(super) fn new(config: &UNet2DConditionConfig, device: &Device) -> Self {
        let (first, width, activation) =
            (config.block_out_channels[0], config.time_embedding_width(), config.activation());
        let sinusoids = if config.is_fourier() { width } else { first };
        let named = |name: &Option<String>| name.as_deref().and_then(Activation::named);
        let time_embedding = TimestepEmbedding {
            activation,
            post_activation: named(&config.timestep_post_act),
            ..TimestepEmbedding::new(sinusoids, width, device)
        };
        let Ladder { down, mid, up, .. } = config.ladder();
        let encoder_hid_proj = config.encoder_hid_dim.map(|width| {
            let output = config.cross_attention_dim.at(0);
            LinearConfig::new(width, output).init(device)
        });
        Self {
            conv_in: conv([config.in_channels, first], config.conv_in_kernel, device),
            time_proj: config.is_fourier().then(|| FourierProjection::new(width / 2, config.flip_sin_to_cos, device)),
            time_embedding: match config.time_cond_proj_dim {
                Some(condition) => time_embedding.with_condition(condition, sinusoids, device),
                None => time_embedding,
            },
            encoder_hid_proj,
            down_blocks: down.iter().map(|(_, block)| DownBlock::new(block, device)).collect(),
            mid_block: MidBlock::new(mid.as_ref().map(|(_, block)| block), device),
            up_blocks: up.iter().map(|(_, block)| UpBlock::new(block, device)).collect(),
            conv_norm_out: config.norm_num_groups.map(|groups| new_norm([groups, first], config.norm_eps, device)),
            conv_out: conv([first, config.out_channels], config.conv_out_kernel, device),
            conv_act: activation,
            time_embed_act: named(&config.time_embedding_act_fn),
            center_input_sample: config.center_input_sample,
            sinusoids: first,
            freq_shift: config.freq_shift,
            flip_sin_to_cos: config.flip_sin_to_cos,
        }
    }

    /// The same, with or without gradient checkpointing: backward runs each layer again instead of finding its activations
    /// kept.
    #[must_use]
    pub fn gradient_checkpointing(mut self, on: bool) -> Self {
        for block in &mut self.down_blocks {
            block.set_gradient_checkpointing(on);
        }
        self.mid_block.gradient_checkpointing = on;
        for block in &mut self.up_blocks {
            block.set_gradient_checkpointing(on);
        }
        self
    }

    /// Predicts from noisy samples, their timesteps, which need not be whole, and what they are conditioned on.
    ///
    /// Sample and encodings are of the weights' precision. In mixed precision the norms' weights and the timesteps are
    /// float32 and all else is bfloat16.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, `[batch]` → `[batch, out, height, width]`
    ///
    /// # Panics
    ///
    /// If the shapes do not fit the network: [`UNet2DConditionConfig::check_size`] and
    /// [`UNet2DConditionConfig::condition_width`] tell before.
    pub fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, condition: &Condition) -> Tensor<4> {
        assert_eq!(timesteps.dims()[0], sample.dims()[0], "one timestep for each sample of {:?}", sample.dims());
        self.forward_embedded(sample, &self.embed(timesteps, None), condition)
    }

    /// The same from a time embedding.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, `[batch, embedding]` → `[batch, out, height, width]`
    ///
    /// # Panics
    ///
    /// As [`UNet2DCondition::forward`].
    pub fn forward_embedded(&self, sample: Tensor<4>, time: &Tensor<2>, condition: &Condition) -> Tensor<4> {
        let context = self.context(condition);
        let sample = if self.center_input_sample { sample * 2.0 - 1.0 } else { sample };
        let mut hidden = conv2d(&self.conv_in, sample.clone());
        let mut skips = Skips::new(hidden.clone(), sample);
        for block in &self.down_blocks {
            hidden = block.forward(hidden, time, Some(&context), &mut skips);
        }
        hidden = self.mid_block.forward(hidden, time, Some(&context));
        for block in &self.up_blocks {
            hidden = block.forward(hidden, time, Some(&context), &mut skips);
        }
        let hidden = match &self.conv_norm_out {
            Some(norm) => self.conv_act.of_norm(norm, hidden),
            None => hidden,
        };
        conv2d(&self.conv_out, hidden)
    }

    /// The time embedding, itself conditioned on `condition`, such as the embedded guidance scale of a distilled network,
    /// if given.
    ///
    /// # Shapes
    ///
    /// `[batch]`, `[batch, time_cond_proj_dim]` → `[batch, embedding]`
    ///
    /// # Panics
    ///
    /// If a condition is given to a network without `time_cond_proj_dim`.
    pub fn embed(&self, timesteps: Tensor<1>, condition: Option<Tensor<2>>) -> Tensor<2> {
        let sinusoids = match &self.time_proj {
            Some(projection) => projection.forward(timesteps),
            None => sinusoids(timesteps, self.sinusoids, self.freq_shift, self.flip_sin_to_cos),
        };
        let time = match condition {
            Some(condition) => self.time_embedding.forward_with(sinusoids, condition),
            None => self.time_embedding.forward(sinusoids),
        };
        match self.time_embed_act {
            Some(activation) => activation.forward(time),
            None => time,
        }
    }

    /// The condition as the attentions take it.
    pub fn context(&self, condition: &Condition) -> Context {
        let encodings = condition.encodings.clone();
        let encodings = match &self.encoder_hid_proj {
            Some(projection) => linear(projection, encodings),
            None => encodings,
        };
        Context::new(encodings, condition.mask.clone())
    }
}

impl Network for UNet2DCondition {
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, condition: Option<&Condition>) -> Tensor<4> {
        Self::forward(self, sample, timesteps, condition.expect("encodings for a network that is conditioned on them"))
    }
}

/// A convolution that keeps the size.
fn conv(channels: [usize; 2], kernel: usize, device: &Device) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new(channels, [kernel; 2]).with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad)).init(device)
}
