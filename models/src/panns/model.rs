use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor};

use super::ConvBlock;
use super::block::EPSILON;
use crate::blocks::BatchNorm;
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::ops::linear;

/// Channels of the six blocks.
const CHANNELS: [usize; 6] = [64, 128, 256, 512, 1024, 2048];
/// AudioSet's.
const CLASSES: usize = 527;

/// The network, of 32 kHz or 16 kHz alike.
#[derive(Module, Debug)]
pub struct Cnn14 {
    /// Normalises each mel band.
    pub bn0: BatchNorm,
    /// From the mel, with the most positions.
    pub conv_block1: ConvBlock,
    /// On half the frames and bands, as each that follows.
    pub conv_block2: ConvBlock,
    /// The third block.
    pub conv_block3: ConvBlock,
    /// The fourth block.
    pub conv_block4: ConvBlock,
    /// The fifth block.
    pub conv_block5: ConvBlock,
    /// The last block, behind which nothing is halved.
    pub conv_block6: ConvBlock,
    /// To the embedding.
    pub fc1: Linear,
    /// To the classes.
    pub fc_audioset: Linear,
}

/// What Cnn14 makes of a sound.
#[derive(Clone, Debug)]
pub struct Heard {
    /// `[batch, dim]`
    pub embedding: Tensor<2>,
    /// `[batch, class]`; classes do not exclude each other, and the sigmoid of each is the published probability.
    pub logits: Tensor<2>,
}

impl Cnn14 {
    /// Mel bands.
    pub const BANDS: usize = 64;
    /// Frames of the shortest sound: the blocks halve it five times.
    pub const LEAST_FRAMES: usize = 32;

    /// From a published file (`Cnn14_mAP=0.431.pth`, `Cnn14_16k_mAP=0.438.pth`). The layers have the widths that the file
    /// gives them.
    ///
    /// # Errors
    ///
    /// If the weights are not Cnn14's: see [`checkpoint::load`].
    pub fn load(from: Checkpoint, device: &Device) -> Result<Self, CheckpointError> {
        let from = from.rename(current_name)?;
        let rows = |layer: &str, published: usize| {
            from.shape(&format!("{layer}.weight")).and_then(<[usize]>::first).map_or(published, |rows| *rows)
        };
        let channels = std::array::from_fn(|index| rows(&format!("conv_block{}.conv1", index + 1), CHANNELS[index]));
        let dim = rows("fc1", CHANNELS[5]);
        checkpoint::load(Self::new(channels, dim, rows("fc_audioset", CLASSES), device), &from)
    }

    fn new(channels: [usize; 6], dim: usize, classes: usize, device: &Device) -> Self {
        let block = |index: usize| {
            let input = if index == 0 { 1 } else { channels[index - 1] };
            ConvBlock::new([input, channels[index]], device)
        };
        Self {
            bn0: BatchNorm::new(Self::BANDS, EPSILON, device),
            conv_block1: block(0),
            conv_block2: block(1),
            conv_block3: block(2),
            conv_block4: block(3),
            conv_block5: block(4),
            conv_block6: block(5),
            fc1: LinearConfig::new(channels[5], dim).init(device),
            fc_audioset: LinearConfig::new(dim, classes).init(device),
        }
    }

    /// Numbers of an embedding.
    pub fn dim(&self) -> usize {
        self.fc1.weight.dims()[1]
    }

    /// How many classes.
    pub fn classes(&self) -> usize {
        self.fc_audioset.weight.dims()[1]
    }

    /// # Shapes
    ///
    /// `[batch, 1, frame, mel]`: log-mels in dB, the lowest band first, of 32 frames or more
    ///
    /// # Panics
    ///
    /// If there are fewer frames or other bands.
    pub fn forward(&self, mel: Tensor<4>) -> Heard {
        let blocks = self.blocks(mel);
        self.head(blocks.last().expect("six blocks").clone())
    }

    /// What each block gives, after its halving.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, frame, mel]` → six of `[batch, channel, frame / 2ⁿ, mel / 2ⁿ]`, the last two with the same n
    pub fn blocks(&self, mel: Tensor<4>) -> Vec<Tensor<4>> {
        let mut hidden = self.bn0.forward(mel.swap_dims(1, 3)).swap_dims(1, 3);
        let halved = [&self.conv_block1, &self.conv_block2, &self.conv_block3, &self.conv_block4, &self.conv_block5];
        let mut outputs = Vec::with_capacity(halved.len() + 1);
        for block in halved {
            hidden = avg_pool2d(block.forward(hidden), AvgPoolOptions::new([2, 2]));
            outputs.push(hidden.clone());
        }
        outputs.push(self.conv_block6.forward(hidden));
        outputs
    }

    /// The mean over the bands, of it the largest and the mean over time, and the linear layers.
    fn head(&self, hidden: Tensor<4>) -> Heard {
        let [batch, channels, ..] = hidden.dims();
        let over_bands = hidden.mean_dim(3);
        let pooled = over_bands.clone().max_dim(2) + over_bands.mean_dim(2);
        let embedding = relu(linear(&self.fc1, pooled.reshape([batch, channels])));
        Heard { logits: linear(&self.fc_audioset, embedding.clone()), embedding }
    }
}

/// The files of the training hold the network under `model`; the front end's fixed tables are no weights.
fn current_name(published: &str) -> Option<String> {
    const TABLES: [&str; 2] = ["spectrogram_extractor.", "logmel_extractor."];
    let name = published.strip_prefix("model.").unwrap_or(published);
    let needed = !TABLES.iter().any(|table| name.starts_with(table))
        && !name.ends_with(".num_batches_tracked")
        // Which recordings the training had come to.
        && !name.starts_with("sampler.");
    needed.then(|| name.to_owned())
}
