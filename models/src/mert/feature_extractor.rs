use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{GroupNorm, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use super::{FeatureNorm, MertConfig};
use crate::blocks::new_norm;
use crate::ops::{conv1d, gelu, layer_norm, linear};

/// Added to the variances of the convolutions' results.
const EPSILON: f64 = 1e-5;

/// Convolutions that make frames of a waveform.
#[derive(Module, Debug)]
pub struct FeatureExtractor {
    /// One after the other.
    pub conv_layers: Vec<ConvLayer>,
    /// Samples from one frame to the next, and of the stretch that a frame is made of.
    pub frame: [usize; 2],
}

/// A convolution without padding, normalisation where there is one, `GELU`.
#[derive(Module, Debug)]
pub struct ConvLayer {
    /// The convolution.
    pub conv: Conv1d,
    /// The normalisation.
    pub layer_norm: Option<ConvNorm>,
}

/// The normalisation of a convolution's result.
#[derive(Module, Debug)]
pub enum ConvNorm {
    /// Each channel over the whole length.
    Group(GroupNorm),
    /// Each frame over its channels.
    Layer(LayerNorm),
}

/// From the features' width to the transformer's.
#[derive(Module, Debug)]
pub struct FeatureProjection {
    /// Before it.
    pub layer_norm: Option<LayerNorm>,
    /// The projection.
    pub projection: Linear,
    /// Added to the variances.
    pub epsilon: f64,
}

impl FeatureExtractor {
    pub(super) fn new(config: &MertConfig, device: &Device) -> Self {
        let layer = |index: usize| {
            let input = if index == 0 { 1 } else { config.conv_dim[index - 1] };
            let output = config.conv_dim[index];
            let conv = Conv1dConfig::new(input, output, config.conv_kernel[index])
                .with_stride(config.conv_stride[index])
                .with_bias(config.conv_bias);
            let layer_norm = match config.feat_extract_norm {
                FeatureNorm::Group if index == 0 => Some(ConvNorm::Group(new_norm([output, output], EPSILON, device))),
                FeatureNorm::Group => None,
                FeatureNorm::Layer => {
                    Some(ConvNorm::Layer(LayerNormConfig::new(output).with_epsilon(EPSILON).init(device)))
                }
            };
            ConvLayer { conv: conv.init(device), layer_norm }
        };
        Self { conv_layers: (0..config.conv_dim.len()).map(layer).collect(), frame: config.frame() }
    }

    /// How many frames so many samples make.
    pub fn frames(&self, samples: usize) -> usize {
        let [step, span] = self.frame;
        (samples + step).saturating_sub(span) / step
    }

    /// The frames of a waveform, some at a time: what all channels of all samples would take is more than a machine may have.
    ///
    /// # Shapes
    ///
    /// `[1, 1, sample]` → `[1, channel, frame]`
    ///
    /// # Panics
    ///
    /// If the waveform is too short for a frame.
    pub fn forward(&self, samples: Tensor<3>) -> Tensor<3> {
        /// Frames at a time.
        const PIECE: usize = 512;
        let [step, span] = self.frame;
        let count = self.frames(samples.dims()[2]);
        assert!(count > 0, "{} samples, of which a frame needs {span}", samples.dims()[2]);
        let moments = self.moments(&samples);
        let frames = (0..count).step_by(PIECE).map(|first| {
            let last = count.min(first + PIECE) - 1;
            let samples = samples.clone().narrow(2, first * step, (last - first) * step + span);
            let layers = self.conv_layers.iter();
            layers.fold(samples, |hidden, layer| layer.forward(hidden, moments.as_ref()))
        });
        Tensor::cat(frames.collect(), 2)
    }

    /// Of each channel of the first convolution, over the whole length: its mean, and 1 / √(variance + ε).
    ///
    /// # Shapes
    ///
    /// `[1, 1, sample]` → each `[1, channel, 1]`
    fn moments(&self, samples: &Tensor<3>) -> Option<[Tensor<3>; 2]> {
        /// Samples of the result at a time.
        const PIECE: usize = 1 << 14;
        let ConvLayer { conv, layer_norm: Some(ConvNorm::Group(_)) } = self.conv_layers.first()? else { return None };
        let count = (samples.dims()[2] - conv.kernel_size) / conv.stride + 1;
        let channels = conv.weight.dims()[0];
        let [mut sums, mut squares] = [(); 2].map(|()| vec![0.0f64; channels]);
        // About the mean of the first piece, which is near that of all.
        let mut centre = None;
        for first in (0..count).step_by(PIECE) {
            let length = PIECE.min(count - first);
            let samples = samples.clone().narrow(2, first * conv.stride, (length - 1) * conv.stride + conv.kernel_size);
            let hidden = conv1d(conv, samples);
            let centre = centre.get_or_insert_with(|| hidden.clone().mean_dim(2));
            let apart = hidden - centre.clone();
            for (totals, found) in [(&mut sums, apart.clone().sum_dim(2)), (&mut squares, apart.square().sum_dim(2))] {
                let found = found.into_data().convert::<f32>().try_to_vec::<f32>().expect("just converted");
                totals.iter_mut().zip(found).for_each(|(total, found)| *total += f64::from(found));
            }
        }
        let count = count as f64;
        let mean = sums.iter().map(|sum| (sum / count) as f32).collect();
        let variance = sums.iter().zip(&squares).map(|(sum, square)| square / count - (sum / count).powi(2));
        let scale = variance.map(|variance| (1.0 / (variance.max(0.0) + EPSILON).sqrt()) as f32).collect();
        let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [1, channels, 1]), &samples.device());
        Some([tensor(mean) + centre?, tensor(scale)])
    }
}

impl ConvLayer {
    /// `moments` are those of the whole length, of which `input` may be a part.
    ///
    /// # Shapes
    ///
    /// `[batch, in, length]` → `[batch, out, …]`
    fn forward(&self, input: Tensor<3>, moments: Option<&[Tensor<3>; 2]>) -> Tensor<3> {
        let hidden = conv1d(&self.conv, input);
        gelu(match (&self.layer_norm, moments) {
            (Some(ConvNorm::Layer(norm)), _) => layer_norm(norm, EPSILON, hidden.swap_dims(1, 2)).swap_dims(1, 2),
            (Some(ConvNorm::Group(norm)), Some([mean, scale])) => {
                let of_channel = |values: &burn::module::Param<Tensor<1>>| {
                    let values = values.val();
                    let count = values.dims()[0];
                    values.reshape([1, count, 1])
                };
                let scale = match &norm.gamma {
                    Some(gamma) => of_channel(gamma) * scale.clone(),
                    None => scale.clone(),
                };
                let shift = mean.clone() * scale.clone();
                let normed = hidden * scale;
                match &norm.beta {
                    Some(beta) => normed + (of_channel(beta) - shift),
                    None => normed - shift,
                }
            }
            _ => hidden,
        })
    }
}

impl FeatureProjection {
    pub(super) fn new(config: &MertConfig, device: &Device) -> Self {
        let width = config.conv_dim.last().copied().unwrap_or(1);
        let epsilon = config.layer_norm_eps;
        let norm = || LayerNormConfig::new(width).with_epsilon(epsilon).init(device);
        Self {
            layer_norm: config.feat_proj_layer_norm.then(norm),
            projection: LinearConfig::new(width, config.hidden_size).init(device),
            epsilon,
        }
    }

    /// # Shapes
    ///
    /// `[batch, frame, feature]` → `[batch, frame, hidden]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let features = match &self.layer_norm {
            Some(norm) => layer_norm(norm, self.epsilon, features),
            None => features,
        };
        linear(&self.projection, features)
    }
}
