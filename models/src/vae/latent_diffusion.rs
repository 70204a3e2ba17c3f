//! The same network as the latent-diffusion code describes and names it.

use serde::{Deserialize, Serialize};

use super::AutoencoderKlConfig;
use crate::network::{ConfigError, check};
use crate::unet::SampleSize;

/// What surrounds the network in a checkpoint of its training: loss networks, optimisers, callbacks, counters.
const SURROUNDINGS: [&str; 5] = ["loss.", "optimizer_states.", "lr_schedulers.", "callbacks.", "loops."];

/// `model.params.ddconfig` of a published YAML file. The defaults are those of the file that the published mel autoencoder
/// was trained with: 83.6 million parameters, latents of one channel, eight times smaller than the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DdConfig {
    /// Only true: the encoder gives mean and log-variance.
    pub double_z: bool,
    /// Channels of the latents.
    pub z_channels: usize,
    /// Height and width of the pictures.
    pub resolution: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the reconstruction.
    pub out_ch: usize,
    /// Channels at every resolution are multiples of this.
    pub ch: usize,
    /// The multiples, from the largest resolution to the smallest.
    pub ch_mult: Vec<usize>,
    /// Residual blocks at each resolution of the encoder.
    pub num_res_blocks: usize,
    /// The heights at which blocks attend.
    pub attn_resolutions: Vec<usize>,
    /// Only 0.
    pub dropout: f64,
}

impl Default for DdConfig {
    fn default() -> Self {
        Self {
            double_z: true,
            z_channels: 1,
            resolution: 256,
            in_channels: 1,
            out_ch: 1,
            ch: 128,
            ch_mult: vec![1, 2, 4, 4],
            num_res_blocks: 2,
            attn_resolutions: Vec::new(),
            dropout: 0.0,
        }
    }
}

impl DdConfig {
    /// The same network in diffusers' words, for latents of `embed_dim` channels.
    ///
    /// # Errors
    ///
    /// What diffusers' network cannot be: latents of other channels than the encoder gives, no log-variance.
    pub fn autoencoder(&self, embed_dim: usize) -> Result<AutoencoderKlConfig, ConfigError> {
        check("double_z", self.double_z, self.double_z, "true")?;
        check("dropout", self.dropout == 0.0, self.dropout, "0")?;
        check("embed_dim", embed_dim == self.z_channels, embed_dim, format!("z_channels, {}", self.z_channels))?;
        let levels = self.ch_mult.len();
        check("ch_mult", (1..=16).contains(&levels), format_args!("{levels} entries"), "1 to 16 entries")?;
        let config = AutoencoderKlConfig {
            in_channels: self.in_channels,
            out_channels: self.out_ch,
            layers_per_block: self.num_res_blocks,
            latent_channels: self.z_channels,
            sample_size: SampleSize::Square(self.resolution),
            ..AutoencoderKlConfig::default()
        };
        let channels = self.ch_mult.iter().map(|multiple| self.ch.saturating_mul(*multiple)).collect();
        Ok(config
            .with_channels(channels)
            .attending_at(|level| self.attn_resolutions.contains(&(self.resolution >> level))))
    }
}

/// The name in diffusers' words of a tensor of a latent-diffusion checkpoint of `levels` resolutions; one that has another
/// name already keeps it. `None` for what surrounds the network.
pub(super) fn current_name(published: &str, levels: usize) -> Option<String> {
    let name = published.strip_prefix("state_dict.").unwrap_or(published);
    if SURROUNDINGS.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    Some(renamed(name, levels).unwrap_or_else(|| name.to_owned()))
}

fn renamed(name: &str, levels: usize) -> Option<String> {
    let (half, rest) = name.split_once('.').filter(|(half, _)| matches!(*half, "encoder" | "decoder"))?;
    let parts: Vec<&str> = rest.split('.').collect();
    let renamed = match *parts {
        ["norm_out", kind] => format!("conv_norm_out.{kind}"),
        ["mid", "attn_1", layer, kind] => format!("mid_block.attentions.0.{}.{kind}", attention_layer(layer)),
        ["mid", block, layer, kind] => {
            let number: usize = block.strip_prefix("block_")?.parse().ok()?;
            format!("mid_block.resnets.{}.{}.{kind}", number.checked_sub(1)?, resnet_layer(layer))
        }
        ["down", level, part, ref inner @ ..] => format!("down_blocks.{level}.{}", inside(part, inner)?),
        // Counted from the largest resolution, where diffusers counts from the smallest.
        ["up", level, part, ref inner @ ..] => {
            let level = levels.checked_sub(1 + level.parse::<usize>().ok()?)?;
            format!("up_blocks.{level}.{}", inside(part, inner)?)
        }
        _ => return None,
    };
    Some(format!("{half}.{renamed}"))
}

/// A name inside one resolution.
fn inside(part: &str, inner: &[&str]) -> Option<String> {
    Some(match (part, inner) {
        ("block", [index, layer, kind]) => format!("resnets.{index}.{}.{kind}", resnet_layer(layer)),
        ("attn", [index, layer, kind]) => format!("attentions.{index}.{}.{kind}", attention_layer(layer)),
        ("downsample", ["conv", kind]) => format!("downsamplers.0.conv.{kind}"),
        ("upsample", ["conv", kind]) => format!("upsamplers.0.conv.{kind}"),
        _ => return None,
    })
}

fn resnet_layer(layer: &str) -> &str {
    if layer == "nin_shortcut" { "conv_shortcut" } else { layer }
}

fn attention_layer(layer: &str) -> &str {
    match layer {
        "norm" => "group_norm",
        "q" => "to_q",
        "k" => "to_k",
        "v" => "to_v",
        "proj_out" => "to_out.0",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::current_name;

    #[test]
    fn names_are_translated_and_levels_of_the_decoder_turned_round() {
        let cases = [
            ("state_dict.encoder.conv_in.weight", "encoder.conv_in.weight"),
            ("encoder.down.0.block.1.norm1.bias", "encoder.down_blocks.0.resnets.1.norm1.bias"),
            ("encoder.down.2.downsample.conv.weight", "encoder.down_blocks.2.downsamplers.0.conv.weight"),
            ("decoder.up.0.block.2.nin_shortcut.weight", "decoder.up_blocks.3.resnets.2.conv_shortcut.weight"),
            ("decoder.up.3.upsample.conv.bias", "decoder.up_blocks.0.upsamplers.0.conv.bias"),
            ("decoder.up.3.attn.1.proj_out.bias", "decoder.up_blocks.0.attentions.1.to_out.0.bias"),
            ("encoder.mid.block_2.conv1.weight", "encoder.mid_block.resnets.1.conv1.weight"),
            ("encoder.mid.attn_1.norm.weight", "encoder.mid_block.attentions.0.group_norm.weight"),
            ("decoder.norm_out.weight", "decoder.conv_norm_out.weight"),
            ("quant_conv.weight", "quant_conv.weight"),
            ("decoder.up_blocks.0.resnets.0.conv1.weight", "decoder.up_blocks.0.resnets.0.conv1.weight"),
            // Levels and layers that this network lacks stay as they are, for the loader to name.
            ("decoder.up.4.block.0.conv1.weight", "decoder.up.4.block.0.conv1.weight"),
            ("encoder.mid.block_0.conv1.weight", "encoder.mid.block_0.conv1.weight"),
        ];
        for (published, expected) in cases {
            assert_eq!(current_name(published, 4).as_deref(), Some(expected), "{published}");
        }
        for left_out in ["state_dict.loss.discriminator.main.0.weight", "optimizer_states.0.state.0.exp_avg"] {
            assert_eq!(current_name(left_out, 4), None);
        }
    }
}
