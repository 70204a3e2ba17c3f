use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use super::segments::{Segment, Segments};
use super::{Decoder, Decoding, EncodecConfig, Encoder, Quantizer};

/// Encoder, decoder and quantiser.
#[derive(Module, Debug)]
pub struct Encodec {
    /// From waveforms.
    pub encoder: Encoder,
    /// To waveforms.
    pub decoder: Decoder,
    /// Between them.
    pub quantizer: Quantizer,
    /// How waveforms are cut.
    #[module(skip)]
    pub segments: Segments,
}

impl Encodec {
    pub(super) fn new(config: &EncodecConfig, device: &Device) -> Self {
        Self {
            encoder: Encoder::new(config, device),
            decoder: Decoder::new(config, device),
            quantizer: Quantizer::new(config, device),
            segments: Segments { lengths: config.segments(), normalize: config.normalize },
        }
    }

    /// Codes of the first `quantizers` codebooks: see [`EncodecConfig::quantizers_of`]. A waveform that is not cut gives one
    /// segment.
    ///
    /// # Shapes
    ///
    /// `[batch, channel, sample]`, of one sample or more
    ///
    /// # Panics
    ///
    /// If there are fewer codebooks.
    pub fn encode(&self, samples: Tensor<3>, quantizers: usize) -> Vec<Segment> {
        self.segments.encode(samples, |samples| self.quantizer.encode(self.encoder.forward(samples), quantizers))
    }

    /// The waveform of segments, whose overlaps fade into each other. It may be a little longer than what was encoded.
    ///
    /// # Shapes
    ///
    /// → `[batch, channel, sample]`
    ///
    /// # Panics
    ///
    /// If there are no segments, a code is not below the codebooks' size, or there are more codebooks than the network has.
    pub fn decode(&self, segments: &[Segment]) -> Tensor<3> {
        self.segments.decode(segments, |codes| self.decode_codes(codes))
    }

    /// The waveform of the codes of one segment, in pieces, so that memory stays within bounds.
    ///
    /// # Shapes
    ///
    /// `[batch, codebook, frame]` → `[batch, channel, sample]`
    ///
    /// # Panics
    ///
    /// As [`Encodec::decode`].
    pub fn decode_codes(&self, codes: Tensor<3, Int>) -> Tensor<3> {
        /// Samples of a piece, of all items.
        const PIECE: usize = 1 << 17;
        let [batch, _, frames] = codes.dims();
        let piece = (PIECE / (batch * self.decoder.hop_length).max(1)).max(16);
        if !self.decoder.cuts || frames <= piece {
            return self.decoder.forward(self.quantizer.decode(codes));
        }
        let mut decoding = self.decoding();
        let mut samples = Vec::new();
        for start in (0..frames).step_by(piece) {
            samples.extend(decoding.push(codes.clone().narrow(2, start, piece.min(frames - start))));
        }
        samples.extend(decoding.finish());
        Tensor::cat(samples, 2)
    }

    /// Begins to decode codes that come in pieces. For networks without segments.
    ///
    /// # Panics
    ///
    /// If the network normalises over the whole length.
    pub fn decoding(&self) -> Decoding<'_> {
        assert!(self.decoder.cuts, "a network that normalises over the whole length does not decode in pieces");
        Decoding::new(self)
    }
}

/// The codes of both channels of a stereo waveform, each through a network for one channel, as `MusicGen` has them: each
/// codebook's of the left, then of the right.
///
/// # Shapes
///
/// `[2 · batch, codebook, frame]`, left and right in turns → `[batch, 2 · codebook, frame]`
pub fn interleave(codes: Tensor<3, Int>) -> Tensor<3, Int> {
    let [channels, books, frames] = codes.dims();
    let apart: Tensor<4, Int> = codes.reshape([channels / 2, 2, books, frames]);
    apart.swap_dims(1, 2).reshape([channels / 2, 2 * books, frames])
}

/// The inverse of [`interleave`].
///
/// # Shapes
///
/// `[batch, 2 · codebook, frame]` → `[2 · batch, codebook, frame]`
pub fn deinterleave(codes: Tensor<3, Int>) -> Tensor<3, Int> {
    let [batch, books, frames] = codes.dims();
    let together: Tensor<4, Int> = codes.reshape([batch, books / 2, 2, frames]);
    together.swap_dims(1, 2).reshape([2 * batch, books / 2, frames])
}
