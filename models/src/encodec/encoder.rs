use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer::{around_lstm, reach, run};
use super::window::Window;
use super::{Conv, Elu, EncodecConfig, Layer, Lstm, NormType, ResnetBlock};

/// From waveforms to encodings: stages of residual blocks, each of which ends in a convolution that shortens; an LSTM.
#[derive(Module, Debug)]
pub struct Encoder {
    /// In their published order.
    pub layers: Vec<Layer>,
    /// Samples of a frame.
    pub hop_length: usize,
    /// Whether nothing is normalised over the whole length.
    pub cuts: bool,
}

impl Encoder {
    pub(super) fn new(config: &EncodecConfig, device: &Device) -> Self {
        let conv = |channels, sizes| Layer::Conv(Conv::new(config, channels, sizes, device));
        let mut width = config.num_filters;
        let mut layers = vec![conv([config.audio_channels, width], [config.kernel_size, 1, 1])];
        for ratio in config.upsampling_ratios.iter().rev() {
            layers.extend(ResnetBlock::all(config, width, device).map(Layer::Block));
            layers.push(Layer::Elu(Elu {}));
            layers.push(conv([width, 2 * width], [2 * ratio, *ratio, 1]));
            width *= 2;
        }
        layers.extend(Lstm::of(config, width, device).map(Layer::Lstm));
        layers.push(Layer::Elu(Elu {}));
        layers.push(conv([width, config.hidden_size], [config.last_kernel_size, 1, 1]));
        let cuts = config.norm_type == NormType::WeightNorm;
        Self { layers, hop_length: config.hop_length(), cuts }
    }

    /// In pieces that give what one pass would, so that memory stays within bounds.
    ///
    /// # Shapes
    ///
    /// `[batch, channel, sample]` → `[batch, hidden, frame]`, a frame for each hop, rounded up
    pub fn forward(&self, samples: Tensor<3>) -> Tensor<3> {
        /// Samples of a piece, of all items.
        const PIECE: usize = 1 << 17;
        let [batch, _, length] = samples.dims();
        let piece = (PIECE / batch.max(1)).max(16 * self.hop_length).next_multiple_of(self.hop_length);
        let mut state = None;
        if !self.cuts || length <= piece {
            return run(&self.layers, samples, &mut state);
        }
        let [before, lstm, behind] = around_lstm(&self.layers);
        let mut window = Window::new(reach(before), self.hop_length);
        let mut frames = Vec::new();
        for start in (0..length).step_by(piece) {
            let end = length.min(start + piece);
            let more = samples.clone().narrow(2, start, end - start);
            if let Some(part) = window.next(Some(more), end == length) {
                let coarse = run(before, part.input, &mut None);
                frames.push(run(lstm, coarse.narrow(2, part.skip, part.keep), &mut state));
            }
        }
        run(behind, Tensor::cat(frames, 2), &mut None)
    }
}
