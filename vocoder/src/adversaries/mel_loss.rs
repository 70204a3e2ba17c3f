use burn::tensor::{Device, Tensor, TensorData};

use super::stft::{TensorStft, hann};
use crate::mel::{LogMelConfig, MelFilterbank};

/// Bands and window lengths of the second version's loss; the hop is a quarter of the window.
const SCALES: [(usize, usize); 7] = [(5, 32), (10, 64), (20, 128), (40, 256), (80, 512), (160, 1024), (320, 2048)];
/// The least magnitude of a band.
const LEAST: f32 = 1e-5;
/// Added to the power of the first version.
const MIN_POWER: f32 = 1e-9;

/// How far the mels of waveforms are apart, through which gradients flow.
#[derive(Clone, Debug)]
pub struct MelLoss {
    scales: Vec<Scale>,
    decades: bool,
}

#[derive(Clone, Debug)]
struct Scale {
    stft: TensorStft,
    /// `[1, band, bin]`.
    filterbank: Tensor<3>,
}

impl MelLoss {
    /// The second version's: mean absolute differences of decimal logarithms, summed over seven scales.
    pub fn multi_scale(rate: u32, device: &Device) -> Self {
        let scale = |(bands, window): (usize, usize)| Scale {
            stft: TensorStft::new(&hann(window), window / 4, window / 2, device),
            filterbank: filterbank(&MelFilterbank::new(rate, window, bands, 0.0, f64::from(rate) / 2.0), device),
        };
        Self { scales: SCALES.into_iter().map(scale).collect(), decades: true }
    }

    /// The first version's: mean absolute differences of log-mels of one configuration.
    pub fn single_scale(mel: &LogMelConfig, device: &Device) -> Self {
        let LogMelConfig { sampling_rate, num_mels, n_fft, hop_size, fmin, fmax } = *mel;
        let fmax = fmax.unwrap_or(f64::from(sampling_rate) / 2.0);
        let bank = MelFilterbank::new(sampling_rate, n_fft, num_mels, fmin, fmax);
        let stft = TensorStft::new(&hann(n_fft), hop_size, (n_fft - hop_size) / 2, device);
        Self { scales: vec![Scale { stft, filterbank: filterbank(&bank, device) }], decades: false }
    }

    /// The fewest samples that it can compare.
    pub fn least_samples(&self) -> usize {
        self.scales.iter().map(|scale| scale.stft.least_samples()).max().unwrap_or(0)
    }

    /// The logarithms that are compared, of each scale.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, sample]` → `[batch, band, frame]` each
    pub fn mels(&self, wave: &Tensor<3>) -> Vec<Tensor<3>> {
        let mel = |scale: &Scale| {
            let magnitude = if self.decades {
                scale.stft.magnitude(wave.clone())
            } else {
                (scale.stft.power(wave.clone()) + MIN_POWER).sqrt()
            };
            let mel = scale.filterbank.clone().matmul(magnitude).clamp_min(LEAST).log();
            if self.decades { mel / std::f32::consts::LN_10 } else { mel }
        };
        self.scales.iter().map(mel).collect()
    }

    /// # Shapes
    ///
    /// Waveforms `[batch, 1, sample]` and the [`MelLoss::mels`] of others → `[1]`
    pub fn distance(&self, wave: &Tensor<3>, others: &[Tensor<3>]) -> Tensor<1> {
        let terms = self.mels(wave).into_iter().zip(others).map(|(mel, other)| (mel - other.clone()).abs().mean());
        Tensor::cat(terms.collect(), 0).sum()
    }
}

fn filterbank(bank: &MelFilterbank, device: &Device) -> Tensor<3> {
    let (bands, bins) = (bank.n_mels(), bank.bins());
    let mut dense = vec![0.0; bands * bins];
    for (band, row) in dense.chunks_exact_mut(bins).enumerate() {
        let (first, weights) = bank.band(band);
        row[first..first + weights.len()].copy_from_slice(weights);
    }
    Tensor::from_data(TensorData::new(dense, [1, bands, bins]), device)
}
