use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use nocturne_models::ops::conv2d;

use super::AdversariesConfig;
use super::layers::{Judgement, convolution, stack};

/// Frames and bins of most kernels.
const KERNEL: [usize; 2] = [3, 9];

/// One discriminator a scale.
#[derive(Module, Debug)]
pub struct MultiScaleSubBand {
    /// In the order of the configuration.
    pub discriminators: Vec<SubBand>,
}

/// Judges a constant-Q transform, whose octaves each have a first layer of their own.
#[derive(Module, Debug)]
pub struct SubBand {
    /// One an octave, the lowest first; without weight norm, as the first of the others.
    pub conv_pres: Vec<Conv2d>,
    /// One, one for each dilation in time with stride two in frequency, and one.
    pub convs: Vec<Conv2d>,
    /// To the verdict.
    pub conv_post: Conv2d,
}

impl MultiScaleSubBand {
    pub(super) fn new(config: &AdversariesConfig, device: &Device) -> Self {
        let scales = config.cqtd_n_octaves.iter();
        Self { discriminators: scales.map(|octaves| SubBand::new(config, *octaves, device)).collect() }
    }

    /// # Shapes
    ///
    /// The octaves of each scale, lowest first, `[batch, 2, frame, bin]` → a judgement each
    pub fn forward(&self, scales: &[Vec<Tensor<4>>]) -> Vec<Judgement> {
        let pairs = self.discriminators.iter().zip(scales);
        pairs.map(|(discriminator, octaves)| discriminator.forward(octaves)).collect()
    }
}

impl SubBand {
    fn new(config: &AdversariesConfig, octaves: usize, device: &Device) -> Self {
        let width = config.cqtd_filters;
        let wide = |channels, stride, dilation| convolution(channels, KERNEL, [1, stride], [dilation, 1], device);
        let square = |output| convolution([width, output], [3, 3], [1, 1], [1, 1], device);
        let mut convs = vec![wide([2, width], 1, 1)];
        convs.extend(config.cqtd_dilations.iter().map(|dilation| wide([width; 2], 2, *dilation)));
        convs.push(square(width));
        let conv_pres = (0..octaves).map(|_| wide([2, 2], 1, 1)).collect();
        Self { conv_pres, convs, conv_post: square(1) }
    }

    /// # Shapes
    ///
    /// Octaves, lowest first, `[batch, 2, frame, bin]` → layers `[batch, channel, frame, octave · bin / stride]`
    pub fn forward(&self, octaves: &[Tensor<4>]) -> Judgement {
        let first = self.conv_pres.iter().zip(octaves).map(|(layer, octave)| conv2d(layer, octave.clone()));
        let mut features = Vec::with_capacity(self.convs.len());
        let hidden = stack(&self.convs, Tensor::cat(first.collect(), 3), &mut features);
        Judgement { verdict: conv2d(&self.conv_post, hidden), features }
    }
}
