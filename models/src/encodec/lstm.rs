use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use super::EncodecConfig;
use crate::ops::{LstmState, lstm};

/// Layers of an LSTM over a signal, beside the signal itself.
#[derive(Module, Debug)]
pub struct Lstm {
    /// One after the other.
    pub lstm: Vec<LstmLayer>,
}

/// A layer, its weights as PyTorch keeps them: input, forget, cell and output gate of all units upon one another.
#[derive(Module, Debug)]
pub struct LstmLayer {
    /// `[4 · unit, in]`
    pub weight_ih: Param<Tensor<2>>,
    /// `[4 · unit, unit]`
    pub weight_hh: Param<Tensor<2>>,
    /// `[4 · unit]`
    pub bias_ih: Param<Tensor<1>>,
    /// `[4 · unit]`
    pub bias_hh: Param<Tensor<1>>,
}

impl Lstm {
    /// The network's, if it has one.
    pub(super) fn of(config: &EncodecConfig, width: usize, device: &Device) -> Option<Self> {
        let layers = 0..config.num_lstm_layers;
        (!layers.is_empty()).then(|| Self { lstm: layers.map(|_| LstmLayer::new(width, device)).collect() })
    }

    /// Goes on from `state`, or begins where there is none, and leaves its own there.
    ///
    /// # Shapes
    ///
    /// `[batch, channel, length]` → the same
    pub fn forward(&self, input: Tensor<3>, state: &mut Option<Vec<LstmState>>) -> Tensor<3> {
        let ([batch, channels, _], device) = (input.dims(), input.device());
        let states = state.get_or_insert_with(|| {
            let zeros = || Tensor::zeros([batch, channels], &device);
            self.lstm.iter().map(|_| LstmState { hidden: zeros(), cell: zeros() }).collect()
        });
        let hidden = input.clone().permute([2, 0, 1]);
        let layers = self.lstm.iter().zip(states);
        let hidden = layers.fold(hidden, |hidden, (layer, state)| layer.forward(hidden, state));
        hidden.permute([1, 2, 0]) + input
    }
}

impl LstmLayer {
    fn new(width: usize, device: &Device) -> Self {
        let bound = 1.0 / (width as f64).sqrt();
        let initializer = Initializer::Uniform { min: -bound, max: bound };
        Self {
            weight_ih: initializer.init([4 * width, width], device),
            weight_hh: initializer.init([4 * width, width], device),
            bias_ih: initializer.init([4 * width], device),
            bias_hh: initializer.init([4 * width], device),
        }
    }

    /// # Shapes
    ///
    /// `[step, batch, in]` → `[step, batch, unit]`
    fn forward(&self, input: Tensor<3>, state: &mut LstmState) -> Tensor<3> {
        let biases = (self.bias_ih.val() + self.bias_hh.val()).reshape([1, 1, -1]);
        let weight = self.weight_ih.val().transpose();
        // Each item alone, lest its results depend on the others.
        let of_item = |item: usize| {
            let rows = input.clone().narrow(1, item, 1).squeeze_dim::<2>(1).matmul(weight.clone());
            rows.unsqueeze_dim::<3>(1) + biases.clone()
        };
        let gates = Tensor::cat((0..input.dims()[1]).map(of_item).collect(), 1);
        let (outputs, after) = lstm(gates, self.weight_hh.val(), state.clone());
        *state = after;
        outputs
    }
}
