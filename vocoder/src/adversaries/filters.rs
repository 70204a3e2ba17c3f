use burn::module::{Module, Param};
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::ops::conv1d;

/// Filters over one channel that are given, not learned.
#[derive(Clone, Debug)]
pub(super) struct Filters(Conv1d);

impl Filters {
    /// `count` filters of one length, one after another in `taps`, at every `stride`-th sample of a signal with so many zeros
    /// before and behind.
    pub fn new(taps: Vec<f32>, count: usize, stride: usize, padding: [usize; 2], device: &Device) -> Self {
        let length = taps.len() / count;
        let mut layer = Conv1dConfig::new(1, count, length)
            .with_stride(stride)
            .with_padding(PaddingConfig1d::Explicit(padding[0], padding[1]))
            .with_bias(false)
            .init(device);
        layer.weight = Param::from_tensor(Tensor::from_data(TensorData::new(taps, [count, 1, length]), device));
        Self(layer.no_grad())
    }

    /// The same filters at another stride.
    pub fn with_stride(&self, stride: usize) -> Self {
        Self(Conv1d { stride, ..self.0.clone() })
    }

    /// # Shapes
    ///
    /// `[batch, 1, sample]` → `[batch, filter, frame]`
    pub fn apply(&self, signal: Tensor<3>) -> Tensor<3> {
        conv1d(&self.0, signal)
    }
}
