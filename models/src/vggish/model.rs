use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

use crate::blocks::conv3x3;
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::ops::{conv2d, linear};

/// Convolutions of the four stages; behind each stage the sides are halved.
const CONVOLUTIONS: [usize; 4] = [1, 1, 2, 2];
/// Channels of the stages.
const CHANNELS: [usize; 4] = [64, 128, 256, 512];
/// Outputs of the linear layers.
const WIDTHS: [usize; 3] = [4096, 4096, 128];

/// The network.
#[derive(Module, Debug)]
pub struct Vggish {
    /// Convolutions by their place in the published sequence; `None` where an activation or a pooling stands.
    pub features: Vec<Option<Conv2d>>,
    /// Linear layers by their place; `None` where an activation stands.
    pub embeddings: Vec<Option<Linear>>,
}

impl Vggish {
    /// Frames of an example.
    pub const FRAMES: usize = 96;
    /// Mel bands of an example.
    pub const BANDS: usize = 64;

    /// From a file of torchvggish (`vggish-10086976.pth`). The layers have the widths that the file gives them.
    ///
    /// # Errors
    ///
    /// If the weights are not VGGish's: see [`checkpoint::load`].
    pub fn load(from: Checkpoint, device: &Device) -> Result<Self, CheckpointError> {
        // Saved as a whole, torchvggish's model has the whitening with it.
        let from = from.rename(|name| (!name.starts_with("pproc.")).then(|| name.to_owned()))?;
        let rows = |layer: String, published: usize| {
            from.shape(&format!("{layer}.weight")).and_then(<[usize]>::first).map_or(published, |rows| *rows)
        };
        let channels = std::array::from_fn(|stage| rows(format!("features.{}", first_of(stage)), CHANNELS[stage]));
        let widths = std::array::from_fn(|layer| rows(format!("embeddings.{}", 2 * layer), WIDTHS[layer]));
        checkpoint::load(Self::new(channels, widths, device), &from)
    }

    fn new(channels: [usize; 4], widths: [usize; 3], device: &Device) -> Self {
        let (mut features, mut input) = (Vec::new(), 1);
        for (output, count) in channels.into_iter().zip(CONVOLUTIONS) {
            for _ in 0..count {
                features.push(Some(conv3x3([input, output], device)));
                features.push(None);
                input = output;
            }
            features.push(None);
        }
        let [height, width] = [Self::FRAMES, Self::BANDS].map(|side| side >> CONVOLUTIONS.len());
        let (mut embeddings, mut input) = (Vec::new(), height * width * input);
        for output in widths {
            embeddings.push(Some(LinearConfig::new(input, output).init(device)));
            embeddings.push(None);
            input = output;
        }
        Self { features, embeddings }
    }

    /// Numbers of a vector.
    pub fn dim(&self) -> usize {
        self.embeddings.iter().flatten().last().map_or(0, |layer| layer.weight.dims()[1])
    }

    /// The vectors of log-mel examples, before the activation behind the last layer, which torchvggish takes and
    /// TensorFlow's original does not.
    ///
    /// # Shapes
    ///
    /// `[example, 1, 96, 64]`: frames of 64 bands, the lowest first → `[example, dim]`
    ///
    /// # Panics
    ///
    /// If the examples are of another size.
    pub fn forward(&self, examples: Tensor<4>) -> Tensor<2> {
        self.embed(self.stages(examples).swap_remove(CONVOLUTIONS.len() - 1))
    }

    /// The state at the end of every stage.
    ///
    /// # Shapes
    ///
    /// `[example, 1, 96, 64]` → four of `[example, channel, 96 / 2ⁿ, 64 / 2ⁿ]`
    pub fn stages(&self, examples: Tensor<4>) -> Vec<Tensor<4>> {
        let mut layers = self.features.iter().flatten();
        let mut hidden = examples;
        let mut stages = Vec::with_capacity(CONVOLUTIONS.len());
        for count in CONVOLUTIONS {
            hidden = layers.by_ref().take(count).fold(hidden, |hidden, layer| relu(conv2d(layer, hidden)));
            hidden = max_pool2d(hidden, MaxPoolOptions::new([2, 2]));
            stages.push(hidden.clone());
        }
        stages
    }

    /// Flattens with the channels innermost, as the network was first trained in another library.
    ///
    /// # Shapes
    ///
    /// `[example, channel, 6, 4]` → `[example, dim]`
    fn embed(&self, hidden: Tensor<4>) -> Tensor<2> {
        let [batch, channels, height, width] = hidden.dims();
        let mut hidden = hidden.permute([0, 2, 3, 1]).reshape([batch, height * width * channels]);
        for (index, layer) in self.embeddings.iter().flatten().enumerate() {
            hidden = linear(layer, if index == 0 { hidden } else { relu(hidden) });
        }
        hidden
    }
}

/// The place of a stage's first convolution: each has an activation behind it, each stage a pooling.
fn first_of(stage: usize) -> usize {
    CONVOLUTIONS[..stage].iter().map(|count| 2 * count + 1).sum()
}
