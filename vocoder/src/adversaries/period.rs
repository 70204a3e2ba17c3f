use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};
use nocturne_models::ops::conv2d;

use super::AdversariesConfig;
use super::config::width;
use super::layers::{Judgement, convolution, stack};

/// Channels behind each layer, times the configuration's multiple.
const WIDTHS: [usize; 5] = [32, 128, 512, 1024, 1024];

/// One discriminator a period.
#[derive(Module, Debug)]
pub struct MultiPeriod {
    /// In the order of the configuration.
    pub discriminators: Vec<Period>,
}

/// Judges samples that lie a period apart, each phase for itself.
#[derive(Module, Debug)]
pub struct Period {
    /// Five in time, all but the last with stride three.
    pub convs: Vec<Conv2d>,
    /// To the verdict.
    pub conv_post: Conv2d,
    /// In samples.
    pub period: usize,
}

impl MultiPeriod {
    pub(super) fn new(config: &AdversariesConfig, device: &Device) -> Self {
        let widths = WIDTHS.map(|channels| width(channels, config.discriminator_channel_mult));
        Self { discriminators: config.mpd_reshapes.iter().map(|period| Period::new(*period, widths, device)).collect() }
    }

    /// # Shapes
    ///
    /// `[batch, 1, sample]` → a judgement a period
    pub fn forward(&self, wave: &Tensor<3>) -> Vec<Judgement> {
        self.discriminators.iter().map(|discriminator| discriminator.forward(wave.clone())).collect()
    }
}

impl Period {
    fn new(period: usize, widths: [usize; 5], device: &Device) -> Self {
        let layer = |index: usize| {
            let input = if index == 0 { 1 } else { widths[index - 1] };
            let stride = if index + 1 < widths.len() { 3 } else { 1 };
            convolution([input, widths[index]], [5, 1], [stride, 1], [1, 1], device)
        };
        Self {
            convs: (0..widths.len()).map(layer).collect(),
            conv_post: convolution([widths[4], 1], [3, 1], [1, 1], [1, 1], device),
            period,
        }
    }

    /// # Shapes
    ///
    /// `[batch, 1, sample]` → layers `[batch, channel, sample / (period · stride), period]`
    pub fn forward(&self, wave: Tensor<3>) -> Judgement {
        let [batch, _, length] = wave.dims();
        let rows = length.div_ceil(self.period);
        let missing = rows * self.period - length;
        let whole = if missing == 0 { wave } else { wave.pad([(0, missing)], PadMode::Reflect) };
        let mut features = Vec::with_capacity(self.convs.len() + 1);
        let hidden = stack(&self.convs, whole.reshape([batch, 1, rows, self.period]), &mut features);
        let verdict = conv2d(&self.conv_post, hidden);
        features.push(verdict.clone());
        Judgement { verdict, features }
    }
}
