use nocturne_vocoder::audio::{Audio, match_loudness};
use serde::{Deserialize, Serialize};

/// How loud a file is: audiocraft's strategies, with its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// −14 LUFS, or as near to it as true peaks of −1 dB allow.
    #[default]
    Loudness,
    /// The highest sample at −1 dB.
    Peak,
    /// The root mean square at −18 dB.
    Rms,
    /// As the model made it; what is beyond full scale is clipped. The only one that does not look at the whole piece, and so that of
    /// what is written while it is made.
    Clip,
}

/// In LUFS.
const LOUDNESS: f64 = -14.0;
/// In dB of full scale.
const PEAK: f32 = -1.0;
const RMS: f32 = -18.0;

impl Strategy {
    /// Brings a sound to its level. Silence stays silent.
    pub fn apply(self, audio: &mut Audio) {
        let samples = || audio.channels.iter().flatten();
        let gain = match self {
            Self::Loudness => {
                match_loudness(audio, LOUDNESS);
                return;
            }
            Self::Clip => return,
            Self::Peak => decibels(PEAK) / samples().fold(0.0f32, |most, sample| most.max(sample.abs())),
            Self::Rms => {
                let squares: f64 = samples().map(|sample| f64::from(*sample).powi(2)).sum();
                let mean = squares / samples().count().max(1) as f64;
                decibels(RMS) / mean.sqrt() as f32
            }
        };
        if gain.is_finite() {
            audio.channels.iter_mut().flatten().for_each(|sample| *sample *= gain);
        }
    }
}

fn decibels(value: f32) -> f32 {
    libm::powf(10.0, value / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(strategy: Strategy, samples: Vec<f32>) -> Vec<f32> {
        let mut audio = Audio { sample_rate: 32_000, channels: vec![samples] };
        strategy.apply(&mut audio);
        audio.channels.remove(0)
    }

    #[test]
    fn files_have_their_level() {
        let samples = || vec![0.1, -0.2, 0.05];
        let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        near(made(Strategy::Peak, samples())[1], -0.891_251);
        let rms = made(Strategy::Rms, samples()).iter().map(|sample| sample * sample).sum::<f32>() / 3.0;
        near(rms.sqrt(), 0.125_893);
        assert_eq!(made(Strategy::Clip, samples()), samples());
        for strategy in [Strategy::Peak, Strategy::Rms, Strategy::Loudness] {
            assert_eq!(made(strategy, vec![0.0; 4]), [0.0; 4]);
        }
    }
}
