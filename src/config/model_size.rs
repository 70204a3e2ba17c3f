//! The published sizes of U-Nets (`--model-size` of the sleep-music scripts).

use clap::ValueEnum;
use nocturne_models::backbone::BackboneKind;

/// A published size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelSize {
    /// Four levels and 113.8 million numbers; unconditional only.
    Tiny,
    /// Six levels; 113.7 million numbers, 149.3 million if conditional.
    Small,
    /// Seven levels; 282.3 million numbers, 359.4 million if conditional.
    Large,
}

/// The levels of a U-Net, as its `config.json` has them.
#[derive(Clone, Debug)]
pub struct Levels {
    /// `block_out_channels`.
    pub channels: &'static [usize],
    /// `down_block_types`.
    pub down: Vec<String>,
    /// `up_block_types`.
    pub up: Vec<String>,
}

impl ModelSize {
    /// The levels of this size; none where it was not published for this kind of network.
    pub fn levels(self, kind: BackboneKind) -> Option<Levels> {
        let channels: &[usize] = match (kind, self) {
            (BackboneKind::UNet2D, Self::Tiny) => &[256, 256, 512, 512],
            (BackboneKind::UNet2D, Self::Small) => &[128, 128, 256, 256, 512, 512],
            (BackboneKind::UNet2D, Self::Large) => &[128, 128, 256, 256, 512, 512, 1024],
            (BackboneKind::UNet2DCondition, Self::Small) => &[128, 256, 256, 256, 512, 512],
            (BackboneKind::UNet2DCondition, Self::Large) => &[128, 256, 256, 512, 512, 512, 1024],
            _ => return None,
        };
        let attention = if kind == BackboneKind::UNet2D { "Attn" } else { "CrossAttn" };
        let levels = channels.len();
        let block = |level: usize, name: &str| {
            if level + 2 == levels { format!("{attention}{name}") } else { name.to_owned() }
        };
        let down = (0..levels).map(|level| block(level, "DownBlock2D")).collect();
        let up = (0..levels).rev().map(|level| block(level, "UpBlock2D")).collect();
        Some(Levels { channels, down, up })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Experiment, Layers};
    use nocturne_models::network::NetworkConfig;

    #[test]
    fn sizes_are_the_published_ones() {
        let published = [
            (BackboneKind::UNet2D, ModelSize::Tiny, 113_807_873),
            (BackboneKind::UNet2D, ModelSize::Small, 113_668_609),
            (BackboneKind::UNet2D, ModelSize::Large, 282_284_033),
            (BackboneKind::UNet2DCondition, ModelSize::Small, 149_290_241),
            (BackboneKind::UNet2DCondition, ModelSize::Large, 359_409_409),
        ];
        for (kind, size, parameters) in published {
            let Levels { channels, down, up } = size.levels(kind).unwrap();
            let layers = Layers::default()
                .flag("model.block_out_channels", Some(channels))
                .flag("model.down_block_types", Some(down))
                .flag("model.up_block_types", Some(up));
            let mut model = Experiment::resolve(layers, kind).unwrap().model;
            model.set_condition_width(512);
            assert_eq!(model.parameter_count().unwrap(), parameters, "{kind:?} {size:?}");
        }
        assert!(ModelSize::Tiny.levels(BackboneKind::UNet2DCondition).is_none());
    }
}
