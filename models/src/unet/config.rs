use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::UNet2D;
use crate::blocks::Activation;
use crate::blocks::unet::BlockKind;
use crate::network::{ConfigError, NetworkConfig, check, current_attention_name, one_of};

/// `unet/config.json` of a diffusers model folder: the fields of `UNet2DModel`, with its names and defaults. Fields that
/// it does not know are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UNet2DConfig {
    /// Always `UNet2DModel`.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// The size of the samples that the network was trained on.
    pub sample_size: Option<SampleSize>,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Maps inputs of 0…1 to −1…1 first.
    pub center_input_sample: bool,
    /// Only `positional`. With `fourier` diffusers takes the logarithm of timesteps and divides by them, which no sampler
    /// here is made for: its last timestep is 0.
    pub time_embedding_type: String,
    /// Width of the time embedding; four times the first block's channels if not given.
    pub time_embedding_dim: Option<usize>,
    /// Shifts the frequencies of the sinusoids: 1 in the DDPM paper's code, 0 in diffusers.
    pub freq_shift: f64,
    /// Cosines before sines.
    pub flip_sin_to_cos: bool,
    /// `DownBlock2D`, `AttnDownBlock2D`, `ResnetDownsampleBlock2D`, `KDownBlock2D`, `KCrossAttnDownBlock2D` (which attends to
    /// the sample, there being no condition), `SkipDownBlock2D` or `AttnSkipDownBlock2D` (which know pictures of three
    /// channels only), from the largest resolution to the smallest.
    ///
    /// diffusers 0.42 knows more names, but cannot build this network with the blocks that attend to a condition ("must be
    /// specified"), nor run it with those of autoencoders, which return no skips and take none.
    pub down_block_types: Vec<String>,
    /// `UNetMidBlock2D`; null for no block.
    pub mid_block_type: Option<String>,
    /// `UpBlock2D`, `AttnUpBlock2D`, `ResnetUpsampleBlock2D`, `KUpBlock2D`, `KCrossAttnUpBlock2D`, `SkipUpBlock2D` or
    /// `AttnSkipUpBlock2D`, from the smallest resolution to the largest.
    pub up_block_types: Vec<String>,
    /// Channels at each resolution.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of a down block; an up block has one more.
    pub layers_per_block: usize,
    /// Divides the output of each layer of the middle block.
    pub mid_block_scale_factor: f64,
    /// Padding of the downsampling convolutions: 1, or 0 for one row and column at the far sides only.
    pub downsample_padding: usize,
    /// What halves the size in blocks with self-attention: `conv`, or `resnet`.
    pub downsample_type: String,
    /// What doubles it there: `conv`, or `resnet`.
    pub upsample_type: String,
    /// Only 0.
    pub dropout: f64,
    /// The activation of the residual blocks: `silu` (also written `swish`), `mish`, `gelu` or `relu`.
    pub act_fn: String,
    /// Channels of one attention head; all of them if null.
    pub attention_head_dim: Option<usize>,
    /// Groups of every group normalisation but those of K and skip blocks; null where all blocks are such, for a fourth of
    /// the channels, at most 32.
    pub norm_num_groups: Option<usize>,
    /// Groups of the middle attention's normalisation, if others.
    pub attn_norm_num_groups: Option<usize>,
    /// Added to the variances.
    pub norm_eps: f64,
    /// How time enters a residual block: `default` (added) or `scale_shift`.
    pub resnet_time_scale_shift: String,
    /// Whether the middle block attends.
    pub add_attention: bool,
    /// Only null.
    pub class_embed_type: Option<String>,
    /// Only null.
    pub num_class_embeds: Option<usize>,
}

/// Height and width of a sample: one number, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SampleSize {
    /// Both.
    Square(usize),
    /// Height, width.
    Rectangle([usize; 2]),
}

impl SampleSize {
    /// `[height, width]`.
    pub fn dims(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side, side],
            Self::Rectangle(dims) => dims,
        }
    }
}

impl Default for UNet2DConfig {
    fn default() -> Self {
        let names = |names: [&str; 4]| names.map(str::to_owned).to_vec();
        Self {
            class_name: "UNet2DModel".to_owned(),
            sample_size: None,
            in_channels: 3,
            out_channels: 3,
            center_input_sample: false,
            time_embedding_type: "positional".to_owned(),
            time_embedding_dim: None,
            freq_shift: 0.0,
            flip_sin_to_cos: true,
            down_block_types: names(["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"]),
            mid_block_type: Some("UNetMidBlock2D".to_owned()),
            up_block_types: names(["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"]),
            block_out_channels: vec![224, 448, 672, 896],
            layers_per_block: 2,
            mid_block_scale_factor: 1.0,
            downsample_padding: 1,
            downsample_type: "conv".to_owned(),
            upsample_type: "conv".to_owned(),
            dropout: 0.0,
            act_fn: "silu".to_owned(),
            attention_head_dim: Some(8),
            norm_num_groups: Some(32),
            attn_norm_num_groups: None,
            norm_eps: 1e-5,
            resnet_time_scale_shift: "default".to_owned(),
            add_attention: true,
            class_embed_type: None,
            num_class_embeds: None,
        }
    }
}

/// The blocks that diffusers can run this network with.
const KINDS: [BlockKind; 7] = [
    BlockKind::Plain,
    BlockKind::SelfAttention,
    BlockKind::Resnet,
    BlockKind::K,
    BlockKind::KCross,
    BlockKind::Skip,
    BlockKind::SkipAttention,
];

impl NetworkConfig for UNet2DConfig {
    type Network = UNet2D;

    fn validate(&self) -> Result<(), ConfigError> {
        one_of("_class_name", &self.class_name, &["UNet2DModel"])?;
        one_of("time_embedding_type", &self.time_embedding_type, &["positional"])?;
        if let Some(name) = &self.mid_block_type {
            one_of("mid_block_type", name, &["UNetMidBlock2D"])?;
        }
        one_of("downsample_type", &self.downsample_type, &["conv", "resnet"])?;
        one_of("upsample_type", &self.upsample_type, &["conv", "resnet"])?;
        one_of("act_fn", &self.act_fn, &Activation::NAMES)?;
        one_of("resnet_time_scale_shift", &self.resnet_time_scale_shift, &["default", "scale_shift"])?;
        BlockKind::check_names(&KINDS, "UNet2DModel", &self.down_block_types, &self.up_block_types)?;
        let levels = self.block_out_channels.len();
        // 2^16 pixels become one after sixteen halvings.
        check("block_out_channels", (1..=16).contains(&levels), levels, "1 to 16 entries")?;
        for (field, types) in [("down_block_types", &self.down_block_types), ("up_block_types", &self.up_block_types)] {
            let expected = format!("{levels} entries, as block_out_channels has");
            check(field, types.len() == levels, format_args!("{} entries", types.len()), expected)?;
        }
        check("dropout", self.dropout == 0.0, self.dropout, "0")?;
        check(
            "class_embed_type",
            self.class_embed_type.is_none(),
            format_args!("{:?}", self.class_embed_type),
            "null",
        )?;
        check(
            "num_class_embeds",
            self.num_class_embeds.is_none(),
            format_args!("{:?}", self.num_class_embeds),
            "null",
        )?;
        check("downsample_padding", self.downsample_padding <= 1, self.downsample_padding, "0 or 1")?;
        check("norm_eps", self.norm_eps > 0.0, self.norm_eps, "a positive number")?;
        let scale = self.mid_block_scale_factor;
        check("mid_block_scale_factor", scale.is_finite() && scale != 0.0, scale, "a finite number other than 0")?;
        self.check_channels()?;
        self.ladder().check()?;
        match self.sample_size {
            Some(size) => self.check_size(size.dims()),
            None => Ok(()),
        }
    }

    fn build(&self, device: &Device) -> UNet2D {
        UNet2D::new(self, device)
    }

    fn current_name(&self, published: &str) -> Option<String> {
        Some(current_attention_name(published))
    }
}

impl UNet2DConfig {
    /// Checks the height and width of a sample: every downsampling must halve it without rest.
    pub fn check_size(&self, [height, width]: [usize; 2]) -> Result<(), ConfigError> {
        let factor = self.size_factor();
        let fits = |side: usize| side > 0 && side.is_multiple_of(factor);
        let expected = format!("multiples of {factor}, for {} resolutions", self.block_out_channels.len());
        check("sample_size", fits(height) && fits(width), format_args!("{height}×{width}"), expected)
    }

    /// What the height and width of a sample must be multiples of: two to the number of downsamplings.
    pub fn size_factor(&self) -> usize {
        1 << self.block_out_channels.len().saturating_sub(1)
    }

    pub(super) fn time_embedding_width(&self) -> usize {
        self.time_embedding_dim.unwrap_or(4 * self.block_out_channels[0])
    }

    fn check_channels(&self) -> Result<(), ConfigError> {
        // A bound far above any network, so that no product of sizes overflows.
        const MOST: usize = 1 << 16;
        let sizes = [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("layers_per_block", self.layers_per_block),
            ("norm_num_groups", self.norm_num_groups.unwrap_or(1)),
            ("attn_norm_num_groups", self.attn_norm_num_groups.unwrap_or(1)),
            ("attention_head_dim", self.attention_head_dim.unwrap_or(1)),
            ("time_embedding_dim", self.time_embedding_dim.unwrap_or(1)),
        ];
        let widths = self.block_out_channels.iter().map(|channels| ("block_out_channels", *channels));
        for (field, size) in sizes.into_iter().chain(widths) {
            check(field, (1..=MOST).contains(&size), size, format!("1 to {MOST}"))?;
        }
        let half = self.block_out_channels[0] / 2;
        check(
            "block_out_channels",
            self.block_out_channels[0].is_multiple_of(2),
            self.block_out_channels[0],
            "even first",
        )?;
        let expected = format!("less than {half}, half of the first block's channels");
        check("freq_shift", self.freq_shift < half as f64, self.freq_shift, expected)
    }
}
