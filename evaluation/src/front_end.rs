//! The log-mel frames that embedders' networks were trained on.

use nocturne_vocoder::mel::{MelFilterbank, Stft};

/// Spectra, their bands, and the logarithm of these.
pub(crate) struct FrontEnd {
    pub stft: Stft,
    pub bank: MelFilterbank,
    /// What of a bin the bands are sums of, from its power.
    pub measure: fn(f32) -> f32,
    pub log: fn(f32) -> f32,
}

impl FrontEnd {
    /// librosa's mel in decibels, below which nothing is cut off: Slaney's filters of the power.
    pub fn decibels(stft: Stft, bank: MelFilterbank) -> Self {
        Self { stft, bank, measure: |power| power, log: |band| 10.0 * libm::log10f(band.max(1e-10)) }
    }

    /// # Shapes
    /// - padded: samples, with what a frame at either end needs
    /// - output: `[frame, mel]`, flat
    pub fn frames(&self, padded: &[f32]) -> Vec<f32> {
        let bands = self.bank.n_mels();
        let mut scratch = self.stft.scratch();
        let mut measured = vec![0.0; self.stft.bins()];
        let mut mel = vec![0.0; self.stft.frames(padded.len()) * bands];
        for (frame, out) in mel.chunks_exact_mut(bands).enumerate() {
            self.stft.forward(&padded[frame * self.stft.hop_length()..][..self.stft.n_fft()], &mut scratch);
            for (value, bin) in measured.iter_mut().zip(&scratch.spectrum) {
                *value = (self.measure)(bin.re * bin.re + bin.im * bin.im);
            }
            self.bank.apply(&measured, out);
            for value in out {
                *value = (self.log)(*value);
            }
        }
        mel
    }
}
