use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::{AudioEncoderConfig, ConvBlock, DenseBlock};
use crate::ops::linear;

/// The encoder of mel pictures.
#[derive(Module, Debug)]
pub struct AudioEncoder {
    /// From the picture to the most channels.
    pub conv_blocks: Vec<ConvBlock>,
    /// From all that is left of the picture.
    pub dense_block: DenseBlock,
    /// To the encoding.
    pub embedding: Linear,
}

impl AudioEncoder {
    pub(super) fn new(config: &AudioEncoderConfig, device: &Device) -> Self {
        let inputs = [1].into_iter().chain(config.conv_channels.iter().copied());
        let channels = inputs.zip(config.conv_channels.iter().copied());
        Self {
            conv_blocks: channels.map(|(input, output)| ConvBlock::new([input, output], device)).collect(),
            dense_block: DenseBlock::new([config.flattened(), config.dense_features], device),
            embedding: LinearConfig::new(config.dense_features, config.embedding_features).init(device),
        }
    }

    /// The encodings of mel pictures of 0…1, the lowest band first. A recording's is the mean of its slices'.
    ///
    /// # Shapes
    ///
    /// `[slice, 1, mel, frame]` → `[slice, encoding]`
    ///
    /// # Panics
    ///
    /// If the pictures are not of the network's size.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let hidden = self.conv_blocks.iter().fold(pictures, |hidden, block| block.forward(hidden));
        linear(&self.embedding, self.dense_block.forward(hidden))
    }
}
