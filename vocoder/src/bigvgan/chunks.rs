use std::ops::Range;

use burn::tensor::Tensor;

use super::model::OUTER_REACH;
use super::{AmpBlock, AntiAliased, BigVganConfig, Generator};

/// How long mels are cut into chunks that give the samples that one pass would. A sample depends on frames so far away as all
/// layers together reach, and on ever nearer ones the later the layer: what a stage no longer needs is cut off before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chunks {
    /// Frames of a chunk.
    pub frames: usize,
    /// Frames on each side of a chunk that are needed: of the mel, before every stage, and before the last convolution.
    margins: Vec<usize>,
    /// By how much each stage lengthens.
    rates: Vec<usize>,
}

impl Chunks {
    pub fn new(config: &BigVganConfig) -> Self {
        /// Their activations at the full rate are some tens of MiB.
        const SAMPLES: usize = 1 << 18;
        let rates = config.upsample_rates.clone();
        let mut rate: usize = rates.iter().product();
        let mut needed = OUTER_REACH + AntiAliased::REACH;
        let mut margins = vec![needed.div_ceil(rate)];
        let blocks = 0..config.resblock_kernel_sizes.len();
        let of_blocks = blocks.map(|block| AmpBlock::reach(config, block)).max().unwrap_or(0);
        for (up, kernel) in rates.iter().zip(&config.upsample_kernel_sizes).rev() {
            needed += of_blocks;
            let padding = (kernel - up) / 2;
            needed = ((needed + kernel - 1 - padding) / up).max((needed + up - 1 + padding) / up);
            rate /= up;
            margins.push(needed.div_ceil(rate));
        }
        margins.push(needed + OUTER_REACH);
        margins.reverse();
        // Chunks shorter than their margins would mostly be computed in vain.
        let frames = (SAMPLES / config.mel.hop_size).max(4 * margins[0]);
        Self { frames, margins, rates }
    }

    /// Cuts `frames` into chunks.
    pub fn of(&self, frames: usize) -> impl Iterator<Item = Range<usize>> {
        let length = self.frames;
        (0..frames).step_by(length).map(move |start| start..frames.min(start + length))
    }

    /// The samples of a chunk of a mel of `frames`. `mel` gives the frames of a range.
    ///
    /// # Shapes
    ///
    /// `[batch, mel, frame]` → `[batch, 1, sample]`
    pub fn samples(
        &self,
        generator: &Generator,
        frames: usize,
        chunk: Range<usize>,
        mel: impl FnOnce(Range<usize>) -> Tensor<3>,
    ) -> Tensor<3> {
        let around = |margin: &usize| chunk.start.saturating_sub(*margin)..frames.min(chunk.end + margin);
        let mut margins = self.margins.iter().map(around);
        let mut here = margins.next().unwrap_or_else(|| chunk.clone());
        let mut hidden = generator.embed(mel(here.clone()));
        let mut rate = 1;
        for (stage, up) in self.rates.iter().enumerate() {
            if let Some(next) = margins.next() {
                hidden = cut(hidden, rate, &here, &next);
                here = next;
            }
            hidden = generator.stage(stage, hidden);
            rate *= up;
        }
        if let Some(next) = margins.next() {
            hidden = cut(hidden, rate, &here, &next);
            here = next;
        }
        cut(generator.samples(hidden), rate, &here, &chunk)
    }
}

/// Of a signal of `rate` samples a frame over the frames `from`, those over `to`.
fn cut(signal: Tensor<3>, rate: usize, from: &Range<usize>, to: &Range<usize>) -> Tensor<3> {
    signal.narrow(2, (to.start - from.start) * rate, to.len() * rate)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn margins_are_what_the_layers_reach() {
        let config = BigVganConfig::published("bigvgan_base_22khz_80band").unwrap();
        // Kernels of 11 with dilations 1, 3, 5: six activations, (5 + 5) + (15 + 5) + (25 + 5).
        assert_eq!(AmpBlock::reach(&config, 2), 90);
        let chunks = Chunks::new(&config);
        // Backwards, samples of so many a frame: 8 of 256, (98 + 2) / 2 = 50 of 128, (140 + 2) / 2 = 71 of 64,
        // (161 + 11) / 8 = 21 of 8, (111 + 11) / 8 = 15 of 1; 3 more of the mel.
        assert_eq!(chunks.margins, [18, 15, 3, 2, 1, 1]);
        assert_eq!(chunks.of(2 * chunks.frames + 1).map(|c| c.len()).collect::<Vec<_>>(), [1024, 1024, 1]);
    }
}
