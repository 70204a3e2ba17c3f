use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::Vgg16;
use crate::checkpoint::{self, Checkpoint, CheckpointError};

/// Mean and spread of the photographs that VGG16 was trained on, of red, green and blue, as LPIPS rounds them.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// Keeps the direction of a state without length defined.
const EPSILON: f64 = 1e-10;

/// LPIPS (Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018): VGG16's states of two
/// pictures, compared in direction, each channel with a weight that was fitted to people's judgements.
#[derive(Debug)]
pub struct Lpips {
    vgg: Vgg16,
    linear: Linear,
}

/// The fitted weights of each stage's channels, a 1×1 convolution to one channel.
#[derive(Module, Debug)]
struct Linear {
    lin: Vec<Conv2d>,
}

impl Lpips {
    /// From two files: torchvision's `vgg16-*.pth`, and the `vgg.pth` of lpips or of taming-transformers with keys
    /// `lin0.model.1.weight`. Their weights stay as they are in training.
    ///
    /// # Errors
    ///
    /// If a file's weights are not those of its network: see [`checkpoint::load`].
    pub fn load(vgg: Checkpoint, linear: Checkpoint, device: &Device) -> Result<Self, CheckpointError> {
        let vgg = Vgg16::load(vgg, device)?;
        let layer = |width: usize| Conv2dConfig::new([width, 1], [1, 1]).with_bias(false).init(device);
        let empty = Linear { lin: vgg.widths().into_iter().map(layer).collect() };
        let renamed = linear.rename(|name| {
            let (stage, rest) = name.strip_prefix("lin").and_then(|name| name.split_once('.')).unwrap_or((name, ""));
            Some(if rest == "model.1.weight" { format!("lin.{stage}.weight") } else { name.to_owned() })
        })?;
        Ok(Self { vgg: vgg.no_grad(), linear: checkpoint::load(empty, &renamed)?.no_grad() })
    }

    /// # Shapes
    ///
    /// Two of `[batch, 1 or 3, height, width]` in −1…1 → `[batch]`
    pub fn distance(&self, made: Tensor<4>, original: Tensor<4>) -> Tensor<1> {
        let [made, original] = [made, original].map(|picture| self.vgg.stages(coloured(picture)));
        let distances = made.into_iter().zip(original).zip(&self.linear.lin).map(|((made, original), linear)| {
            let difference = (direction(made) - direction(original)).square();
            (difference * linear.weight.val()).sum_dim(1).mean_dim(2).mean_dim(3)
        });
        let sum = distances.reduce(|sum, distance| sum + distance).expect("VGG16 has stages");
        let [batch, ..] = sum.dims();
        sum.reshape([batch])
    }
}

/// A grey picture becomes one of three equal colours.
fn coloured(picture: Tensor<4>) -> Tensor<4> {
    let device = picture.device();
    let colours = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
    (picture - colours(SHIFT)) / colours(SCALE)
}

/// Every position's channels with the length one.
fn direction(state: Tensor<4>) -> Tensor<4> {
    // The published form adds ε behind the root, whose gradient is infinite where a state is zero.
    let length = (state.clone().square().sum_dim(1) + EPSILON * EPSILON).sqrt();
    state / length
}
