use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::block::BlockSettings;
use super::windows::Windows;
use super::{ClapAudioConfig, PatchMerging, SwinBlock};

/// Blocks of one resolution, every second with its windows shifted by half, and the way to the next.
#[derive(Module, Debug)]
pub struct Stage {
    /// One after the other.
    pub blocks: Vec<SwinBlock>,
    /// Behind all stages but the last.
    pub downsample: Option<PatchMerging>,
    /// Tokens along a side.
    pub side: usize,
    /// Tokens along a side of a window.
    pub window: usize,
}

impl Stage {
    pub(super) fn new(config: &ClapAudioConfig, stage: usize, device: &Device) -> Self {
        let settings = BlockSettings {
            width: config.width(stage),
            heads: config.num_attention_heads[stage],
            window: config.window_size,
            mlp_ratio: config.mlp_ratio,
            epsilon: config.layer_norm_eps,
        };
        let last = stage + 1 == config.depths.len();
        Self {
            blocks: (0..config.depths[stage]).map(|_| SwinBlock::new(settings, device)).collect(),
            downsample: (!last).then(|| PatchMerging::new(settings.width, device)),
            side: config.side(stage),
            window: config.window_size,
        }
    }

    /// # Shapes
    ///
    /// `[batch, token, width]` → `[batch, token / 4, 2 · width]`; of the last stage the same
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let whole = Windows { side: self.side, window: self.window, shift: 0 };
        // A single window has all tokens in it anyway.
        let shift = if self.side > self.window { self.window / 2 } else { 0 };
        let shifted = Windows { shift, ..whole };
        let mask = shifted.mask(&input.device());
        let hidden = self.blocks.iter().enumerate().fold(input, |hidden, (index, block)| {
            if index % 2 == 0 {
                block.forward(hidden, whole, None)
            } else {
                block.forward(hidden, shifted, mask.clone())
            }
        });
        match &self.downsample {
            Some(downsample) => downsample.forward(hidden, self.side),
            None => hidden,
        }
    }
}
