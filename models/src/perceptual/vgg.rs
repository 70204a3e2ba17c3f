use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

use crate::blocks::conv3x3;
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::ops::conv2d;

/// Channels of the five stages.
const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];
/// Convolutions in each.
const CONVOLUTIONS: [usize; 5] = [2, 2, 3, 3, 3];
/// Sides are halved before every stage but the first.
pub(super) const LEAST_SIDE: usize = 1 << (CONVOLUTIONS.len() - 1);

/// The convolutions of VGG16 (Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
/// 2015), keyed as torchvision's.
#[derive(Module, Debug)]
pub struct Vgg16 {
    /// By its place in the published sequence; `None` where an activation or a pooling stands.
    pub features: Vec<Option<Conv2d>>,
}

impl Vgg16 {
    /// Takes the weights out of a file of torchvision (`vgg16-*.pth`). Its stages have the widths that the file gives them.
    ///
    /// # Errors
    ///
    /// If the weights are not those of VGG16's convolutions: see [`checkpoint::load`].
    pub fn load(from: Checkpoint, device: &Device) -> Result<Self, CheckpointError> {
        let from = from.rename(|name| name.starts_with("features.").then(|| name.to_owned()))?;
        let widths = std::array::from_fn(|stage| {
            let shape = from.shape(&format!("features.{}.weight", first_of(stage)));
            shape.and_then(|shape| shape.first()).map_or(WIDTHS[stage], |width| *width)
        });
        checkpoint::load(Self::new(widths, device), &from)
    }

    /// Channels of the five stages.
    pub(super) fn widths(&self) -> Vec<usize> {
        let layers = (0..CONVOLUTIONS.len()).filter_map(|stage| self.features[first_of(stage)].as_ref());
        layers.map(|layer| layer.weight.dims()[0]).collect()
    }

    fn new(widths: [usize; 5], device: &Device) -> Self {
        let (mut features, mut channels) = (Vec::new(), 3);
        for (width, count) in widths.into_iter().zip(CONVOLUTIONS) {
            for _ in 0..count {
                features.push(Some(conv3x3([channels, width], device)));
                features.push(None);
                channels = width;
            }
            features.push(None);
        }
        // The pooling behind the last stage has no use here.
        features.pop();
        Self { features }
    }

    /// The state at the end of every stage, from the largest to the smallest.
    ///
    /// # Shapes
    ///
    /// `[batch, 3, height, width]` → five of `[batch, channel, height / 2ⁿ, width / 2ⁿ]`
    pub fn stages(&self, picture: Tensor<4>) -> Vec<Tensor<4>> {
        let mut layers = self.features.iter().flatten();
        let mut hidden = picture;
        let mut stages = Vec::with_capacity(CONVOLUTIONS.len());
        for (stage, count) in CONVOLUTIONS.into_iter().enumerate() {
            if stage > 0 {
                hidden = max_pool2d(hidden, MaxPoolOptions::new([2, 2]));
            }
            hidden = layers.by_ref().take(count).fold(hidden, |hidden, layer| relu(conv2d(layer, hidden)));
            stages.push(hidden.clone());
        }
        stages
    }
}

/// The place of a stage's first convolution: each has an activation behind it, each stage a pooling.
fn first_of(stage: usize) -> usize {
    CONVOLUTIONS[..stage].iter().map(|count| 2 * count + 1).sum()
}
