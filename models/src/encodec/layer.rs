use burn::module::Module;
use burn::tensor::Tensor;

use super::{Conv, ConvTranspose, Lstm, ResnetBlock};
use crate::ops::LstmState;

/// A layer of the encoder or the decoder, at its published place.
// A network has some twenty of them.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Layer {
    /// A convolution.
    Conv(Conv),
    /// A transposed convolution.
    ConvTranspose(ConvTranspose),
    /// A residual block.
    Block(ResnetBlock),
    /// `ELU`.
    Elu(Elu),
    /// An LSTM.
    Lstm(Lstm),
}

/// x above 0, eˣ − 1 below; what follows takes it along.
#[derive(Module, Debug)]
pub struct Elu {}

/// What the layers of a list make of a signal. `state` is the memory of the LSTM among them.
///
/// # Shapes
///
/// `[batch, in, length]` → `[batch, out, …]`
pub(super) fn run(layers: &[Layer], input: Tensor<3>, state: &mut Option<Vec<LstmState>>) -> Tensor<3> {
    let (mut hidden, mut elu) = (input, false);
    for layer in layers {
        let before = std::mem::take(&mut elu);
        hidden = match layer {
            Layer::Conv(conv) => conv.forward(hidden, before),
            Layer::ConvTranspose(conv) => conv.forward(hidden, before),
            Layer::Block(block) => block.forward(hidden),
            Layer::Lstm(lstm) => lstm.forward(hidden, state),
            Layer::Elu(_) => {
                elu = true;
                hidden
            }
        };
    }
    hidden
}

/// Samples beyond either end of the input that the ends of the output need, of layers without an LSTM.
pub(super) fn reach(layers: &[Layer]) -> [usize; 2] {
    layers.iter().rev().fold([0; 2], |more, layer| match layer {
        Layer::Conv(conv) => conv.needs(more),
        Layer::ConvTranspose(conv) => conv.needs(more),
        Layer::Block(block) => block.needs(more),
        Layer::Elu(_) | Layer::Lstm(_) => more,
    })
}

/// The layers before the LSTM, the LSTM, and those behind it.
pub(super) fn around_lstm(layers: &[Layer]) -> [&[Layer]; 3] {
    let place = layers.iter().position(|layer| matches!(layer, Layer::Lstm(_)));
    let (before, rest) = layers.split_at(place.unwrap_or(layers.len()));
    let (lstm, behind) = rest.split_at(rest.len().min(1));
    [before, lstm, behind]
}
