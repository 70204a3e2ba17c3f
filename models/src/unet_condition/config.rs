use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{PerLevel, UNet2DCondition};
use crate::blocks::unet::BlockKind;
use crate::initialise::torch_default;
use crate::network::{ConfigError, NetworkConfig, current_attention_name};
use crate::random::Random;
use crate::unet::SampleSize;

/// `unet/config.json` of a diffusers model folder: the fields of `UNet2DConditionModel`, with its names and defaults. Fields
/// that it does not know are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UNet2DConditionConfig {
    /// Always `UNet2DConditionModel`.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// The size of the samples that the network was trained on.
    pub sample_size: Option<SampleSize>,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Maps inputs of 0…1 to −1…1 first.
    pub center_input_sample: bool,
    /// Cosines before sines.
    pub flip_sin_to_cos: bool,
    /// Shifts the frequencies of the sinusoids: 1 in the DDPM paper's code, 0 in diffusers.
    pub freq_shift: f64,
    /// `DownBlock2D`, `AttnDownBlock2D`, `CrossAttnDownBlock2D`, `ResnetDownsampleBlock2D`, `SimpleCrossAttnDownBlock2D`,
    /// `KDownBlock2D` or `KCrossAttnDownBlock2D`, from the largest resolution to the smallest.
    ///
    /// diffusers 0.42 builds this network with skip blocks and those of autoencoders too, but its forward fails with each:
    /// it hands no picture to skip blocks, which return one more value than it takes, and blocks of autoencoders return no
    /// skips and take none.
    pub down_block_types: Vec<String>,
    /// `UNetMidBlock2DCrossAttn`, `UNetMidBlock2D` or `UNetMidBlock2DSimpleCrossAttn`; null for no block.
    pub mid_block_type: Option<String>,
    /// `UpBlock2D`, `AttnUpBlock2D`, `CrossAttnUpBlock2D`, `ResnetUpsampleBlock2D`, `SimpleCrossAttnUpBlock2D`,
    /// `KUpBlock2D` or `KCrossAttnUpBlock2D`, from the smallest resolution to the largest.
    pub up_block_types: Vec<String>,
    /// Leaves out self-attention: transformers attend to the condition twice, the blocks named "simple" to nothing else.
    pub only_cross_attention: PerLevel<bool>,
    /// The same of the middle block named "simple"; as the others if those share one value.
    pub mid_block_only_cross_attention: Option<bool>,
    /// Channels at each resolution.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of a down block; an up block has one more.
    pub layers_per_block: PerLevel<usize>,
    /// Padding of the downsampling convolutions: 1, or 0 for one row and column at the far sides only.
    pub downsample_padding: usize,
    /// Divides the output of the residual blocks of the middle block.
    pub mid_block_scale_factor: f64,
    /// Only 0.
    pub dropout: f64,
    /// The activation of residual blocks, time embedding and output: `silu` (also written `swish`), `mish`, `gelu` or `relu`.
    pub act_fn: String,
    /// Groups of every group normalisation but those of K blocks; null for no normalisation of the output, where all blocks
    /// are such.
    pub norm_num_groups: Option<usize>,
    /// Added to the variances, but for those of all attentions to the condition.
    pub norm_eps: f64,
    /// Width of the encodings in the attentions.
    pub cross_attention_dim: PerLevel<usize>,
    /// Layers of each transformer.
    pub transformer_layers_per_block: PerLevel<usize>,
    /// Only null.
    pub reverse_transformer_layers_per_block: Option<Vec<PerLevel<usize>>>,
    /// Width of the encodings, where they are first projected to `cross_attention_dim`.
    pub encoder_hid_dim: Option<usize>,
    /// Null or `text_proj`, which `encoder_hid_dim` means.
    pub encoder_hid_dim_type: Option<String>,
    /// **The number of heads** of every transformer: a name that diffusers cannot take back. In the `Attn`, `Simple` and
    /// `K` blocks the channels of one head, as it says; there diffusers gives the values of a list to the up blocks in the
    /// order of the down blocks.
    pub attention_head_dim: PerLevel<usize>,
    /// Only null, as in diffusers: heads are counted by `attention_head_dim`.
    pub num_attention_heads: Option<PerLevel<usize>>,
    /// Only false.
    pub dual_cross_attention: bool,
    /// Whether the projections around a transformer are linear layers instead of 1×1 convolutions.
    pub use_linear_projection: bool,
    /// Only null.
    pub class_embed_type: Option<String>,
    /// Only false.
    pub class_embeddings_concat: bool,
    /// Only null.
    pub num_class_embeds: Option<usize>,
    /// Only null.
    pub addition_embed_type: Option<String>,
    /// Whether diffusers computes scores in float32 at lower precisions. Changes nothing here.
    pub upcast_attention: bool,
    /// How time enters a residual block: `default` (added) or `scale_shift`.
    pub resnet_time_scale_shift: String,
    /// Whether the `Resnet` and `Simple` blocks project the time embedding without an activation before.
    pub resnet_skip_time_act: bool,
    /// Divides the output of the residual blocks of the `Resnet` and `Simple` blocks.
    pub resnet_out_scale_factor: f64,
    /// `positional`: sinusoids of given frequencies; or `fourier`: of drawn ones.
    pub time_embedding_type: String,
    /// Width of the time embedding; if not given, four times the first block's channels, or with `fourier` twice.
    pub time_embedding_dim: Option<usize>,
    /// An activation of the time embedding: `silu` (also written `swish`), `mish`, `gelu` or `relu`.
    pub time_embedding_act_fn: Option<String>,
    /// The same, before what conditions the network beside the time would be added.
    pub timestep_post_act: Option<String>,
    /// Width of what the time embedding is conditioned on, if anything.
    pub time_cond_proj_dim: Option<usize>,
    /// Size of the first convolution's kernel.
    pub conv_in_kernel: usize,
    /// Size of the last convolution's kernel.
    pub conv_out_kernel: usize,
    /// `default`.
    pub attention_type: String,
    /// What normalises the condition in the blocks named "simple": `layer_norm`, `group_norm` or null. K blocks have a layer
    /// norm in any case.
    pub cross_attention_norm: Option<String>,
}

impl Default for UNet2DConditionConfig {
    fn default() -> Self {
        let names =
            |first: &str, rest: [&str; 3]| [&[first], &rest[..]].concat().into_iter().map(str::to_owned).collect();
        let [down, up] = ["CrossAttnDownBlock2D", "CrossAttnUpBlock2D"];
        Self {
            class_name: "UNet2DConditionModel".to_owned(),
            sample_size: None,
            in_channels: 4,
            out_channels: 4,
            center_input_sample: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            down_block_types: names(down, [down, down, "DownBlock2D"]),
            mid_block_type: Some("UNetMidBlock2DCrossAttn".to_owned()),
            up_block_types: names("UpBlock2D", [up; 3]),
            only_cross_attention: PerLevel::One(false),
            mid_block_only_cross_attention: None,
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: PerLevel::One(2),
            downsample_padding: 1,
            mid_block_scale_factor: 1.0,
            dropout: 0.0,
            act_fn: "silu".to_owned(),
            norm_num_groups: Some(32),
            norm_eps: 1e-5,
            cross_attention_dim: PerLevel::One(1280),
            transformer_layers_per_block: PerLevel::One(1),
            reverse_transformer_layers_per_block: None,
            encoder_hid_dim: None,
            encoder_hid_dim_type: None,
            attention_head_dim: PerLevel::One(8),
            num_attention_heads: None,
            dual_cross_attention: false,
            use_linear_projection: false,
            class_embed_type: None,
            class_embeddings_concat: false,
            num_class_embeds: None,
            addition_embed_type: None,
            upcast_attention: false,
            resnet_time_scale_shift: "default".to_owned(),
            resnet_skip_time_act: false,
            resnet_out_scale_factor: 1.0,
            time_embedding_type: "positional".to_owned(),
            time_embedding_dim: None,
            time_embedding_act_fn: None,
            timestep_post_act: None,
            time_cond_proj_dim: None,
            conv_in_kernel: 3,
            conv_out_kernel: 3,
            attention_type: "default".to_owned(),
            cross_attention_norm: None,
        }
    }
}

impl NetworkConfig for UNet2DConditionConfig {
    type Network = UNet2DCondition;

    fn validate(&self) -> Result<(), ConfigError> {
        self.check_all()
    }

    fn build(&self, device: &Device) -> UNet2DCondition {
        UNet2DCondition::new(self, device)
    }

    fn current_name(&self, published: &str) -> Option<String> {
        Some(current_attention_name(published))
    }

    fn initialise(&self, network: UNet2DCondition, random: &mut Random) -> UNet2DCondition {
        let network = torch_default(network, random);
        let time_proj = network.time_proj.map(|projection| projection.initialised(random));
        UNet2DCondition { time_proj, ..network }
    }
}

impl UNet2DConditionConfig {
    /// Width of the encodings that the network is conditioned on.
    pub fn condition_width(&self) -> usize {
        let levels = self.block_out_channels.len();
        let attending = (0..levels).find(|level| self.knows_context(*level));
        self.encoder_hid_dim.unwrap_or_else(|| self.cross_attention_dim.at(attending.unwrap_or(0)))
    }

    /// Whether a block of this resolution attends to the condition.
    pub(super) fn knows_context(&self, level: usize) -> bool {
        let last = self.block_out_channels.len() - 1;
        let (down, up) = (&self.down_block_types[level], &self.up_block_types[last - level]);
        let mid = self.mid_block_type.as_ref().filter(|_| level == last);
        [down, up].into_iter().chain(mid).any(|name| BlockKind::of(name).knows_context())
    }

    /// Whether the frequencies of the timestep's sinusoids are drawn.
    pub(super) fn is_fourier(&self) -> bool {
        self.time_embedding_type == "fourier"
    }

    /// Width of the time embedding.
    pub(super) fn time_embedding_width(&self) -> usize {
        let times = if self.is_fourier() { 2 } else { 4 };
        self.time_embedding_dim.unwrap_or(times * self.block_out_channels[0])
    }
}
