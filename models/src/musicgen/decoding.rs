use burn::tensor::{Int, Tensor};

use crate::encodec::{self, Encodec, deinterleave};

/// The music of codes that are still being made: see [`encodec::Decoding`].
#[derive(Clone, Debug)]
pub struct Decoding<'a> {
    codec: encodec::Decoding<'a>,
    /// Codebooks of a channel.
    of_one: usize,
    channels: usize,
}

impl<'a> Decoding<'a> {
    /// # Panics
    ///
    /// As [`Encodec::decoding`].
    pub fn new(codec: &'a Encodec) -> Self {
        Self { codec: codec.decoding(), of_one: codec.quantizer.layers.len(), channels: 1 }
    }

    /// The samples that can be made now; none where more frames are needed.
    ///
    /// # Shapes
    ///
    /// `[batch, codebook, frame]` → `[batch, channel, sample]`
    ///
    /// # Panics
    ///
    /// If there are other codebooks than the codec's, once for each channel, or a code that it has not.
    pub fn push(&mut self, codes: Tensor<3, Int>) -> Option<Tensor<3>> {
        self.channels = codes.dims()[1] / self.of_one;
        let codes = if self.channels == 1 { codes } else { deinterleave(codes) };
        let samples = self.codec.push(codes)?;
        Some(together(samples, self.channels))
    }

    /// The samples that were held back.
    ///
    /// # Shapes
    ///
    /// → `[batch, channel, sample]`
    pub fn finish(self) -> Option<Tensor<3>> {
        let samples = self.codec.finish()?;
        Some(together(samples, self.channels))
    }
}

/// The channels of an item, which went through the codec one by one.
///
/// # Shapes
///
/// `[batch · channel, 1, sample]` → `[batch, channel, sample]`
pub(super) fn together(samples: Tensor<3>, channels: usize) -> Tensor<3> {
    let [rows, _, count] = samples.dims();
    samples.reshape([rows / channels, channels, count])
}
