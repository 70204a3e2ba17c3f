use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{MelError, MelFilterbank, MelInversion, Stft, pad_reflect};
use crate::griffin_lim::{GriffinLim, Phase};

/// The range of log-mels that models are trained on: from BigVGAN's silence to a little above full scale. Values above are
/// clamped. The published scripts map one way with -11.5129 and back with -11.5127; here both ways use this pair.
pub const LOG_RANGE: [f32; 2] = [-11.5129, 2.1];

/// Under this magnitude BigVGAN hears silence: its logarithm is -11.5129.
const MIN_MAGNITUDE: f32 = 1e-5;

/// What is added to the power before its root.
const MIN_POWER: f32 = 1e-9;

/// The mel settings of a BigVGAN `config.json`, with its field names.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogMelConfig {
    /// Samples a second, in Hz.
    pub sampling_rate: u32,
    /// Mel bands.
    pub num_mels: usize,
    /// Samples of one transform and of its window.
    pub n_fft: usize,
    /// Samples between frames.
    pub hop_size: usize,
    /// The lower edge of the lowest band, in Hz.
    pub fmin: f64,
    /// The upper edge of the highest band, in Hz; half the sampling rate where absent.
    pub fmax: Option<f64>,
}

/// Name, sampling rate, bands, `n_fft`, hop, and upper edge. All begin at 0 Hz.
type Published = (&'static str, u32, usize, usize, usize, Option<f64>);

const PUBLISHED: [Published; 9] = [
    ("bigvgan_v2_44khz_128band_512x", 44_100, 128, 2048, 512, None),
    ("bigvgan_v2_44khz_128band_256x", 44_100, 128, 1024, 256, None),
    ("bigvgan_v2_24khz_100band_256x", 24_000, 100, 1024, 256, None),
    ("bigvgan_v2_22khz_80band_256x", 22_050, 80, 1024, 256, None),
    ("bigvgan_v2_22khz_80band_fmax8k_256x", 22_050, 80, 1024, 256, Some(8_000.0)),
    ("bigvgan_24khz_100band", 24_000, 100, 1024, 256, Some(12_000.0)),
    ("bigvgan_22khz_80band", 22_050, 80, 1024, 256, Some(8_000.0)),
    ("bigvgan_base_24khz_100band", 24_000, 100, 1024, 256, Some(12_000.0)),
    ("bigvgan_base_22khz_80band", 22_050, 80, 1024, 256, Some(8_000.0)),
];

impl LogMelConfig {
    /// The names of BigVGAN's nine published configurations.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PUBLISHED.iter().map(|(name, ..)| *name)
    }

    /// One of BigVGAN's published configurations, with or without `nvidia/` before its name.
    pub fn published(name: &str) -> Result<Self, MelError> {
        let bare = name.strip_prefix("nvidia/").unwrap_or(name);
        let found = PUBLISHED.iter().find(|(published, ..)| *published == bare);
        let (_, sampling_rate, num_mels, n_fft, hop_size, fmax) = *found.ok_or_else(|| MelError::Preset {
            found: name.to_string(),
            expected: Self::names().collect::<Vec<_>>().join(", "),
        })?;
        Ok(Self { sampling_rate, num_mels, n_fft, hop_size, fmin: 0.0, fmax })
    }

    /// The upper edge of the highest band, in Hz.
    pub fn upper_edge(&self) -> f64 {
        self.fmax.unwrap_or(f64::from(self.sampling_rate) / 2.0)
    }

    /// Whether all of it can be computed.
    pub fn validate(&self) -> Result<(), MelError> {
        let Self { sampling_rate, num_mels, n_fft, hop_size, fmin, .. } = *self;
        let (fmax, nyquist) = (self.upper_edge(), f64::from(sampling_rate) / 2.0);
        let check = |field, right: bool, found: String, expected: &str| {
            if right { Ok(()) } else { Err(MelError::Field { field, found, expected: expected.to_string() }) }
        };
        check(
            "sampling_rate",
            (1_000..=768_000).contains(&sampling_rate),
            sampling_rate.to_string(),
            "1000 to 768000",
        )?;
        check("num_mels", (1..=4096).contains(&num_mels), num_mels.to_string(), "1 to 4096")?;
        check("n_fft", (4..=1 << 17).contains(&n_fft), n_fft.to_string(), "4 to 131072")?;
        check("hop_size", (1..=n_fft).contains(&hop_size), hop_size.to_string(), "1 to n_fft")?;
        check(
            "fmax",
            fmin >= 0.0 && fmin < fmax && fmax <= nyquist,
            format!("{fmin} to {fmax}"),
            "0 <= fmin < fmax <= half the sampling rate",
        )
    }
}

/// BigVGAN's float log-mel: the natural logarithm of a magnitude mel over reflected edges, `meldataset.mel_spectrogram`.
pub struct LogMel {
    config: LogMelConfig,
    stft: Stft,
    filterbank: MelFilterbank,
}

impl LogMel {
    /// Plans the transforms and makes the filterbank of a configuration.
    pub fn new(config: &LogMelConfig) -> Result<Self, MelError> {
        config.validate()?;
        let LogMelConfig { sampling_rate, num_mels, n_fft, hop_size, fmin, .. } = *config;
        let filterbank = MelFilterbank::new(sampling_rate, n_fft, num_mels, fmin, config.upper_edge());
        Ok(Self { config: *config, stft: Stft::new(n_fft, hop_size), filterbank })
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &LogMelConfig {
        &self.config
    }

    /// How many frames `length` samples have: `length / hop_size` for the published configurations.
    pub fn frames(&self, length: usize) -> usize {
        self.stft.frames(length + 2 * self.padding())
    }

    /// The log-mel of mono samples: `[mel, frame]`, at least ln(1e-5).
    pub fn mel(&self, samples: &[f32]) -> Array2<f32> {
        let LogMelConfig { num_mels, n_fft, hop_size, .. } = self.config;
        let padded = pad_reflect(samples, self.padding());
        let mut scratch = self.stft.scratch();
        let mut magnitude = vec![0.0; self.stft.bins()];
        let mut column = vec![0.0; num_mels];
        let mut mel = Array2::zeros((num_mels, self.frames(samples.len())));
        for (frame, mut out) in mel.columns_mut().into_iter().enumerate() {
            self.stft.forward(&padded[frame * hop_size..][..n_fft], &mut scratch);
            for (value, bin) in magnitude.iter_mut().zip(&scratch.spectrum) {
                *value = (bin.re * bin.re + bin.im * bin.im + MIN_POWER).sqrt();
            }
            self.filterbank.apply(&magnitude, &mut column);
            for (value, band) in out.iter_mut().zip(&column) {
                *value = libm::logf(band.max(MIN_MAGNITUDE));
            }
        }
        mel
    }

    /// Audio of a log-mel by non-negative least squares and `iterations` of Griffin-Lim, where no BigVGAN is at hand.
    ///
    /// # Shapes
    /// - `log`: `[mel, frame]`
    /// - output: `frame * hop_size` samples; the outer half hops, which no frame is centred on, are silent
    pub fn audio(&self, log: ArrayView2<f32>, iterations: usize, seed: u64) -> Result<Vec<f32>, MelError> {
        let LogMelConfig { num_mels, hop_size, .. } = self.config;
        let (bands, frames) = log.dim();
        if bands != num_mels || frames == 0 {
            return Err(MelError::Shape {
                what: "a log-mel",
                found: vec![bands, frames],
                expected: format!("{num_mels} bands and at least one frame"),
            });
        }
        let magnitude = MelInversion::new(&self.filterbank).solve(log.mapv(libm::expf).view());
        let search = GriffinLim { iterations, ..GriffinLim::default() };
        let between = search.audio(&self.stft, magnitude.view(), Phase::Random { seed });
        let mut samples = vec![0.0; frames * hop_size];
        samples[hop_size / 2..][..between.len()].copy_from_slice(&between);
        Ok(samples)
    }

    fn padding(&self) -> usize {
        (self.config.n_fft - self.config.hop_size) / 2
    }
}

/// A log-mel value as models see it: [`LOG_RANGE`] onto `[-1, 1]`, clamped.
pub fn unit_from_log(log: f32) -> f32 {
    let [low, high] = LOG_RANGE;
    (log.clamp(low, high) - low) / (high - low) * 2.0 - 1.0
}

/// The log-mel value of a model's output, clamped to `[-1, 1]`.
pub fn log_from_unit(unit: f32) -> f32 {
    let [low, high] = LOG_RANGE;
    low + (unit.clamp(-1.0, 1.0) / 2.0 + 0.5) * (high - low)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn silence_is_the_floor() {
        let mel = LogMel::new(&LogMelConfig::published("bigvgan_24khz_100band").unwrap()).unwrap();
        let silence = mel.mel(&[0.0; 2560]);
        assert_eq!(silence.dim(), (100, 10));
        // sqrt(1e-9) is above the floor of 1e-5 before the bank scales it down.
        assert!(silence.iter().all(|value| (value + 11.5129).abs() < 1e-4));
        assert_eq!(mel.mel(&[]).dim(), (100, 0));
        assert_eq!(mel.mel(&[1.0]).dim(), (100, 0));
    }

    #[test]
    fn the_range_goes_there_and_back() {
        for log in [-11.5129, -5.0, 0.0, 2.1] {
            assert!((log_from_unit(unit_from_log(log)) - log).abs() < 1e-5);
        }
        assert_eq!([unit_from_log(-20.0), unit_from_log(9.0)], [-1.0, 1.0]);
        assert!((log_from_unit(-3.0) - LOG_RANGE[0]).abs() < 1e-6 && (log_from_unit(3.0) - LOG_RANGE[1]).abs() < 1e-6);
    }

    #[test]
    fn unknown_names_list_the_known() {
        let message = LogMelConfig::published("bigvgan_99khz").unwrap_err().to_string();
        assert!(message.contains("bigvgan_99khz") && message.contains("bigvgan_base_22khz_80band"));
        assert!(LogMelConfig::published("nvidia/bigvgan_v2_24khz_100band_256x").is_ok());
        let wrong = LogMelConfig { hop_size: 0, ..LogMelConfig::published("bigvgan_22khz_80band").unwrap() };
        assert!(LogMel::new(&wrong).is_err());
    }
}
