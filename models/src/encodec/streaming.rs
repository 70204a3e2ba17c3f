use burn::tensor::{Int, Tensor};

use super::layer::{around_lstm, reach, run};
use super::window::Window;
use super::{Encodec, Layer};
use crate::ops::LstmState;

/// The waveform of codes that are still being made: what is given in pieces comes out in pieces, which together are what one
/// pass gives. A few frames are held back until what follows them is known.
#[derive(Clone, Debug)]
pub struct Decoding<'a> {
    model: &'a Encodec,
    /// Before the LSTM, the LSTM, behind it.
    layers: [&'a [Layer]; 3],
    windows: [Window; 2],
    state: Option<Vec<LstmState>>,
}

impl<'a> Decoding<'a> {
    pub(super) fn new(model: &'a Encodec) -> Self {
        let layers = around_lstm(&model.decoder.layers);
        let [before, _, behind] = layers;
        Self { model, layers, windows: [before, behind].map(|layers| Window::new(reach(layers), 1)), state: None }
    }

    /// The samples that can be made now; none where more frames are needed.
    ///
    /// # Shapes
    ///
    /// `[batch, codebook, frame]` → `[batch, channel, sample]`
    ///
    /// # Panics
    ///
    /// As [`Encodec::decode`].
    pub fn push(&mut self, codes: Tensor<3, Int>) -> Option<Tensor<3>> {
        if codes.dims()[2] == 0 {
            return None;
        }
        self.next(Some(self.model.quantizer.decode(codes)), false)
    }

    /// The samples that were held back.
    ///
    /// # Shapes
    ///
    /// → `[batch, channel, sample]`
    pub fn finish(mut self) -> Option<Tensor<3>> {
        self.next(None, true)
    }

    fn next(&mut self, encodings: Option<Tensor<3>>, last: bool) -> Option<Tensor<3>> {
        let ([before, lstm, behind], [first, second]) = (self.layers, &mut self.windows);
        let hidden = first.next(encodings, last).map(|part| {
            let hidden = run(before, part.input, &mut None);
            run(lstm, hidden.narrow(2, part.skip, part.keep), &mut self.state)
        });
        if hidden.is_none() && !last {
            return None;
        }
        let part = second.next(hidden, last)?;
        let rate = self.model.decoder.hop_length;
        Some(run(behind, part.input, &mut None).narrow(2, part.skip * rate, part.keep * rate))
    }
}
