//! What a configuration may say.

use serde::Serialize;
use serde_json::json;

use super::{PerLevel, UNet2DConditionConfig};
use crate::blocks::Activation;
use crate::blocks::unet::{BlockKind, CrossNormKind};
use crate::network::{ConfigError, check, one_of};
use crate::unet::SampleSize;

/// The blocks that diffusers can run this network with.
const KINDS: [BlockKind; 7] = [
    BlockKind::Plain,
    BlockKind::SelfAttention,
    BlockKind::CrossAttention,
    BlockKind::Resnet,
    BlockKind::Simple,
    BlockKind::K,
    BlockKind::KCross,
];

impl UNet2DConditionConfig {
    pub(super) fn check_all(&self) -> Result<(), ConfigError> {
        self.check_names()?;
        self.check_absent()?;
        self.check_lists()?;
        self.check_numbers()?;
        self.ladder().check()?;
        self.check_encodings()?;
        self.sample_size.map(SampleSize::dims).map_or(Ok(()), |size| self.check_size(size))
    }

    /// Checks the height and width of a sample. Any size from two to the number of downsamplings on is taken where every up
    /// block brings its state to the size of the skips; where one of them doubles it, a multiple of that number only. A K
    /// block mirrors its state, which must be larger than a pixel.
    pub fn check_size(&self, [height, width]: [usize; 2]) -> Result<(), ConfigError> {
        let levels = self.block_out_channels.len();
        let factor = 1 << levels.saturating_sub(1);
        let mut resizing = self.up_block_types[..levels.saturating_sub(1)].iter().map(|name| BlockKind::of(name));
        let mirrored = resizing.clone().next().is_some_and(BlockKind::is_k);
        let least = if mirrored { 2 * factor } else { factor };
        let any = resizing.all(BlockKind::fits_any_size);
        let fits = |side: usize| side >= least && (any || side.is_multiple_of(factor));
        let sizes = match (any, mirrored) {
            (true, _) => format!("at least {factor}"),
            (false, false) => format!("multiples of {factor}"),
            (false, true) => format!("multiples of {factor} from {least} on"),
        };
        let expected = format!("{sizes}, for {levels} resolutions");
        check("sample_size", fits(height) && fits(width), format_args!("{height}×{width}"), expected)
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        one_of("_class_name", &self.class_name, &["UNet2DConditionModel"])?;
        if let Some(name) = &self.mid_block_type {
            one_of("mid_block_type", name, &BlockKind::middles())?;
        }
        one_of("resnet_time_scale_shift", &self.resnet_time_scale_shift, &["default", "scale_shift"])?;
        one_of("time_embedding_type", &self.time_embedding_type, &["positional", "fourier"])?;
        one_of("attention_type", &self.attention_type, &["default"])?;
        let activations = [
            ("act_fn", Some(&self.act_fn)),
            ("time_embedding_act_fn", self.time_embedding_act_fn.as_ref()),
            ("timestep_post_act", self.timestep_post_act.as_ref()),
        ];
        for (field, name) in activations {
            name.map_or(Ok(()), |name| one_of(field, name, &Activation::NAMES))?;
        }
        if let Some(name) = &self.cross_attention_norm {
            one_of("cross_attention_norm", name, &CrossNormKind::NAMES)?;
        }
        BlockKind::check_names(&KINDS, "UNet2DConditionModel", &self.down_block_types, &self.up_block_types)
    }

    /// What is not supported.
    fn check_absent(&self) -> Result<(), ConfigError> {
        fn null<T: Serialize>(field: &'static str, value: Option<&T>) -> Result<(), ConfigError> {
            check(field, value.is_none(), json!(value), "null")
        }
        null("num_attention_heads", self.num_attention_heads.as_ref())?;
        null("reverse_transformer_layers_per_block", self.reverse_transformer_layers_per_block.as_ref())?;
        null("class_embed_type", self.class_embed_type.as_ref())?;
        null("num_class_embeds", self.num_class_embeds.as_ref())?;
        null("addition_embed_type", self.addition_embed_type.as_ref())?;
        check("class_embeddings_concat", !self.class_embeddings_concat, "true", "false")?;
        check("dual_cross_attention", !self.dual_cross_attention, "true", "false")?;
        check("dropout", self.dropout == 0.0, self.dropout, "0")
    }

    fn check_lists(&self) -> Result<(), ConfigError> {
        let levels = self.block_out_channels.len();
        // 2^16 pixels become one after sixteen halvings.
        check("block_out_channels", (1..=16).contains(&levels), levels, "1 to 16 entries")?;
        let entries = |field, found: usize| {
            let expected = format!("{levels} entries, as block_out_channels has");
            check(field, found == levels, format_args!("{found} entries"), expected)
        };
        entries("down_block_types", self.down_block_types.len())?;
        entries("up_block_types", self.up_block_types.len())?;
        let numbers = [
            ("layers_per_block", &self.layers_per_block),
            ("cross_attention_dim", &self.cross_attention_dim),
            ("transformer_layers_per_block", &self.transformer_layers_per_block),
            ("attention_head_dim", &self.attention_head_dim),
        ];
        for (field, numbers) in numbers {
            if let PerLevel::Each(numbers) = numbers {
                entries(field, numbers.len())?;
            }
        }
        match &self.only_cross_attention {
            PerLevel::One(_) => Ok(()),
            PerLevel::Each(values) => entries("only_cross_attention", values.len()),
        }
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        // Bounds far above any network, so that no product of sizes overflows and no list of layers fills the memory.
        const MOST: usize = 1 << 16;
        const MOST_LAYERS: usize = 64;
        let size =
            |field, most: usize, size: usize| check(field, (1..=most).contains(&size), size, format!("1 to {most}"));
        size("in_channels", MOST, self.in_channels)?;
        size("out_channels", MOST, self.out_channels)?;
        size("norm_num_groups", MOST, self.norm_num_groups.unwrap_or(1))?;
        size("encoder_hid_dim", MOST, self.encoder_hid_dim.unwrap_or(1))?;
        size("time_embedding_dim", MOST, self.time_embedding_dim.unwrap_or(1))?;
        size("time_cond_proj_dim", MOST, self.time_cond_proj_dim.unwrap_or(1))?;
        let lists = [
            ("block_out_channels", MOST, &self.block_out_channels[..]),
            ("layers_per_block", MOST_LAYERS, self.layers_per_block.values()),
            ("transformer_layers_per_block", MOST_LAYERS, self.transformer_layers_per_block.values()),
            ("cross_attention_dim", MOST, self.cross_attention_dim.values()),
            ("attention_head_dim", MOST, self.attention_head_dim.values()),
        ];
        for (field, most, values) in lists {
            values.iter().try_for_each(|value| size(field, most, *value))?;
        }
        for (field, kernel) in [("conv_in_kernel", self.conv_in_kernel), ("conv_out_kernel", self.conv_out_kernel)] {
            check(field, kernel % 2 == 1 && kernel < 64, kernel, "an odd number below 64")?;
        }
        check("downsample_padding", self.downsample_padding <= 1, self.downsample_padding, "0 or 1")?;
        check("norm_eps", self.norm_eps > 0.0, self.norm_eps, "a positive number")?;
        let (mid, resnet) = (self.mid_block_scale_factor, self.resnet_out_scale_factor);
        for (field, scale) in [("mid_block_scale_factor", mid), ("resnet_out_scale_factor", resnet)] {
            check(field, scale.is_finite() && scale != 0.0, scale, "a finite number other than 0")?;
        }
        let width = self.time_embedding_width();
        let holds = !self.is_fourier() || width.is_multiple_of(2);
        check("time_embedding_dim", holds, width, "an even number, for sines and cosines")?;
        let first = self.block_out_channels[0];
        check("block_out_channels", first.is_multiple_of(2), first, "even first")?;
        let expected = format!("less than {}, half of the first block's channels", first / 2);
        check("freq_shift", self.freq_shift < (first / 2) as f64, self.freq_shift, expected)
    }

    /// All attentions are to the same encodings.
    fn check_encodings(&self) -> Result<(), ConfigError> {
        if let Some(kind) = &self.encoder_hid_dim_type {
            one_of("encoder_hid_dim_type", kind, &["text_proj"])?;
            check(
                "encoder_hid_dim",
                self.encoder_hid_dim.is_some(),
                "null",
                "the width of the encodings, for text_proj",
            )?;
        }
        let one = matches!(self.cross_attention_dim, PerLevel::One(_));
        let holds = one || self.encoder_hid_dim.is_none();
        check("cross_attention_dim", holds, "a list", "one number beside encoder_hid_dim")?;
        let levels = (0..self.block_out_channels.len()).filter(|level| self.knows_context(*level));
        let widths: Vec<usize> = levels.map(|level| self.cross_attention_dim.at(level)).collect();
        let expected = "one width wherever encodings are attended to";
        check(
            "cross_attention_dim",
            widths.windows(2).all(|pair| pair[0] == pair[1]),
            format_args!("{widths:?}"),
            expected,
        )
    }
}
