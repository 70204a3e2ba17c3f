use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer::run;
use super::{Conv, ConvTranspose, Elu, EncodecConfig, Layer, Lstm, NormType, ResnetBlock};

/// From encodings to waveforms: an LSTM; stages that begin with a transposed convolution and refine what it made.
#[derive(Module, Debug)]
pub struct Decoder {
    /// In their published order.
    pub layers: Vec<Layer>,
    /// Samples of a frame.
    pub hop_length: usize,
    /// Whether nothing is normalised over the whole length.
    pub cuts: bool,
}

impl Decoder {
    pub(super) fn new(config: &EncodecConfig, device: &Device) -> Self {
        let conv = |channels, taps| Layer::Conv(Conv::new(config, channels, [taps, 1, 1], device));
        let mut width = config.num_filters << config.upsampling_ratios.len();
        let mut layers = vec![conv([config.hidden_size, width], config.kernel_size)];
        layers.extend(Lstm::of(config, width, device).map(Layer::Lstm));
        for ratio in &config.upsampling_ratios {
            layers.push(Layer::Elu(Elu {}));
            let up = ConvTranspose::new(config, [width, width / 2], [2 * ratio, *ratio], device);
            layers.push(Layer::ConvTranspose(up));
            width /= 2;
            layers.extend(ResnetBlock::all(config, width, device).map(Layer::Block));
        }
        layers.push(Layer::Elu(Elu {}));
        layers.push(conv([width, config.audio_channels], config.last_kernel_size));
        let cuts = config.norm_type == NormType::WeightNorm;
        Self { layers, hop_length: config.hop_length(), cuts }
    }

    /// In one pass; [`Encodec::decode`](super::Encodec::decode) goes in pieces.
    ///
    /// # Shapes
    ///
    /// `[batch, hidden, frame]` → `[batch, channel, sample]`
    pub fn forward(&self, encodings: Tensor<3>) -> Tensor<3> {
        run(&self.layers, encodings, &mut None)
    }
}
