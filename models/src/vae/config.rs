use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{AutoencoderKl, latent_diffusion};
use crate::blocks::{Activation, Attention, AttentionSettings, Resample, ResnetBlock, ResnetSettings};
use crate::network::{ConfigError, NetworkConfig, check, current_attention_name, one_of};
use crate::unet::SampleSize;

/// Added to the variances of every norm.
pub(super) const NORM_EPS: f64 = 1e-6;

/// The widest layer.
const MOST: usize = 1 << 14;
const DOWN_BLOCKS: [&str; 2] = ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"];
const UP_BLOCKS: [&str; 2] = ["UpDecoderBlock2D", "AttnUpDecoderBlock2D"];

/// `vqvae/config.json` of a diffusers model folder: the fields of `AutoencoderKL`, with its names and defaults. Fields that
/// it does not know are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoencoderKlConfig {
    /// Always `AutoencoderKL`.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the reconstruction.
    pub out_channels: usize,
    /// `DownEncoderBlock2D` or `AttnDownEncoderBlock2D`, from the largest resolution to the smallest.
    pub down_block_types: Vec<String>,
    /// `UpDecoderBlock2D` or `AttnUpDecoderBlock2D`, from the smallest resolution to the largest.
    pub up_block_types: Vec<String>,
    /// Channels at each resolution.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of an encoder block; a decoder block has one more.
    pub layers_per_block: usize,
    /// `silu` (also written `swish`).
    pub act_fn: String,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// The size of the samples that the network was trained on.
    pub sample_size: SampleSize,
    /// Latents are multiplied by this before a diffusion model sees them, so that their variance is one.
    pub scaling_factor: f64,
    /// Only null.
    pub shift_factor: Option<f64>,
    /// Only null.
    pub latents_mean: Option<Vec<f64>>,
    /// Only null.
    pub latents_std: Option<Vec<f64>>,
    /// Whether diffusers runs this network in float32 whatever the rest of a pipeline runs in.
    pub force_upcast: bool,
    /// Whether a 1×1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1×1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
    /// Whether the middle blocks attend.
    pub mid_block_add_attention: bool,
}

impl Default for AutoencoderKlConfig {
    fn default() -> Self {
        Self {
            class_name: "AutoencoderKL".to_owned(),
            in_channels: 3,
            out_channels: 3,
            down_block_types: vec![DOWN_BLOCKS[0].to_owned()],
            up_block_types: vec![UP_BLOCKS[0].to_owned()],
            block_out_channels: vec![64],
            layers_per_block: 1,
            act_fn: "silu".to_owned(),
            latent_channels: 4,
            norm_num_groups: 32,
            sample_size: SampleSize::Square(32),
            scaling_factor: 0.18215,
            shift_factor: None,
            latents_mean: None,
            latents_std: None,
            force_upcast: true,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

impl NetworkConfig for AutoencoderKlConfig {
    type Network = AutoencoderKl;

    fn validate(&self) -> Result<(), ConfigError> {
        one_of("_class_name", &self.class_name, &["AutoencoderKL"])?;
        one_of("act_fn", &self.act_fn, &["silu", "swish"])?;
        for kind in &self.down_block_types {
            one_of("down_block_types", kind, &DOWN_BLOCKS)?;
        }
        for kind in &self.up_block_types {
            one_of("up_block_types", kind, &UP_BLOCKS)?;
        }
        let levels = self.block_out_channels.len();
        // 2^16 pixels become one after sixteen halvings.
        check("block_out_channels", (1..=16).contains(&levels), levels, "1 to 16 entries")?;
        for (field, types) in [("down_block_types", &self.down_block_types), ("up_block_types", &self.up_block_types)] {
            let expected = format!("{levels} entries, as block_out_channels has");
            check(field, types.len() == levels, format_args!("{} entries", types.len()), expected)?;
        }
        let sizes = [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("latent_channels", self.latent_channels),
            ("layers_per_block", self.layers_per_block),
            ("norm_num_groups", self.norm_num_groups),
        ];
        let widths = self.block_out_channels.iter().map(|channels| ("block_out_channels", *channels));
        for (field, size) in sizes.into_iter().chain(widths) {
            check(field, (1..=MOST).contains(&size), size, format!("1 to {MOST}"))?;
        }
        let groups = self.norm_num_groups;
        for channels in &self.block_out_channels {
            let expected = format!("multiples of norm_num_groups, {groups}");
            check("block_out_channels", channels.is_multiple_of(groups), channels, expected)?;
        }
        let factor = self.scaling_factor;
        check("scaling_factor", factor.is_finite() && factor > 0.0, factor, "a positive number")?;
        check("shift_factor", self.shift_factor.is_none(), format_args!("{:?}", self.shift_factor), "null")?;
        check("latents_mean", self.latents_mean.is_none(), format_args!("{:?}", self.latents_mean), "null")?;
        check("latents_std", self.latents_std.is_none(), format_args!("{:?}", self.latents_std), "null")
    }

    fn build(&self, device: &Device) -> AutoencoderKl {
        AutoencoderKl::new(self, device)
    }

    /// Knows the keys of diffusers' older attention and those of a latent-diffusion checkpoint.
    fn current_name(&self, published: &str) -> Option<String> {
        let name = latent_diffusion::current_name(published, self.block_out_channels.len())?;
        Some(current_attention_name(&name))
    }
}

impl AutoencoderKlConfig {
    /// The network with these block types' plain form at every resolution of `block_out_channels`.
    #[must_use]
    pub fn with_channels(self, block_out_channels: Vec<usize>) -> Self {
        let levels = block_out_channels.len();
        Self {
            down_block_types: vec![DOWN_BLOCKS[0].to_owned(); levels],
            up_block_types: vec![UP_BLOCKS[0].to_owned(); levels],
            block_out_channels,
            ..self
        }
    }

    /// The same with attention at the levels where `attends` holds, counted from the largest resolution.
    #[must_use]
    pub(super) fn attending_at(mut self, attends: impl Fn(usize) -> bool) -> Self {
        let levels = self.block_out_channels.len();
        let kind = |level, kinds: [&str; 2]| kinds[usize::from(attends(level))].to_owned();
        self.down_block_types = (0..levels).map(|level| kind(level, DOWN_BLOCKS)).collect();
        self.up_block_types = (0..levels).rev().map(|level| kind(level, UP_BLOCKS)).collect();
        self
    }

    /// How many times smaller than a sample its latents are, in height and in width.
    pub fn factor(&self) -> usize {
        1 << self.block_out_channels.len().saturating_sub(1)
    }

    /// Checks the height and width of a sample: every downsampling must halve it without rest.
    pub fn check_size(&self, [height, width]: [usize; 2]) -> Result<(), ConfigError> {
        let factor = self.factor();
        let fits = |side: usize| side > 0 && side.is_multiple_of(factor);
        let expected = format!("multiples of {factor}, for {} resolutions", self.block_out_channels.len());
        check("sample_size", fits(height) && fits(width), format_args!("{height}×{width}"), expected)
    }

    pub(super) fn resnet(&self, [input, output]: [usize; 2], device: &Device) -> ResnetBlock {
        let settings = ResnetSettings {
            input,
            output,
            time: None,
            scale_shift: false,
            skip_time_act: false,
            groups: [self.norm_num_groups; 2],
            epsilon: NORM_EPS,
            activation: Activation::Silu,
            output_scale_factor: 1.0,
            resample: Resample::Keep,
        };
        ResnetBlock::new(settings, device)
    }

    pub(super) fn attention(&self, channels: usize, device: &Device) -> Attention {
        let settings = AttentionSettings {
            channels,
            heads: 1,
            groups: Some(self.norm_num_groups),
            epsilon: NORM_EPS,
            rescale_output_factor: 1.0,
        };
        Attention::new(settings, device)
    }
}
