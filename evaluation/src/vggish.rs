//! VGGish, as two families of toolkits use it. Their distances do not compare.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::vggish as network;
use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::mel::{MelFilterbank, Stft};
use rayon::prelude::*;

use crate::batches;
use crate::embedder::Embedder;
use crate::front_end::FrontEnd;
use crate::weights::{Published, WeightsError};

const SAMPLE_RATE: u32 = 16_000;
/// 25 ms in a transform of the next power of two, every 10 ms.
const WINDOW: usize = 400;
const N_FFT: usize = 512;
const HOP: usize = 160;
/// Edges of the lowest and the highest band, in Hz.
const EDGES: [f64; 2] = [125.0, 7500.0];
/// Added to the bands before their logarithm.
const OFFSET: f32 = 0.01;
/// Samples between examples that do not overlap, and of one example.
const EXAMPLE_HOP: usize = network::Vggish::FRAMES * HOP;
const EXAMPLE: usize = EXAMPLE_HOP - HOP + WINDOW;
/// Shorter clips are filled up with silence to this, as fadtk does.
const LEAST: usize = SAMPLE_RATE as usize;
/// As many rows as the linear layers' weights are read for at a time.
const BATCH: usize = 16;

/// How a sound becomes examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// torchvggish, and with it fadtk, gudgud96's frechet-audio-distance, `audioldm_eval` and kadtk: the level as it is, an
    /// example each 0.96 s.
    Torchvggish,
    /// Google's original, which audiocraft calls: the highest sample becomes 1, and each half second begins a window of one
    /// second, of which the first 0.975 s are heard.
    Google,
}

/// VGGish with a profile. Its vectors are those before the last activation and before the whitening of AudioSet's
/// published vectors, as all of these toolkits take them.
pub struct Vggish {
    network: network::Vggish,
    front_end: FrontEnd,
    profile: Profile,
    weights: PathBuf,
    device: Device,
}

impl Vggish {
    /// From torchvggish's file, or a folder that holds it.
    pub fn open(profile: Profile, weights: &Path, device: &Device) -> Result<Self, WeightsError> {
        let weights = profile.find(weights)?;
        let network = network::Vggish::load(Checkpoint::open(&weights)?, device)?;
        Ok(Self { network, front_end: front_end(), profile, weights, device: device.clone() })
    }

    /// The examples of mono samples at 16 kHz: log-mels of the profile, `[frame, mel]`, flat.
    fn example(&self, samples: &[f32], start: usize) -> Vec<f32> {
        // The last transform reaches beyond its window, where nothing counts.
        let mut heard = samples[start..samples.len().min(start + EXAMPLE)].to_vec();
        heard.resize(EXAMPLE - WINDOW + N_FFT, 0.0);
        self.front_end.frames(&heard)
    }
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Torchvggish => "vggish",
            Self::Google => "vggish-google",
        }
    }

    pub(crate) fn find(self, weights: &Path) -> Result<PathBuf, WeightsError> {
        let address = "https://github.com/harritaylor/torchvggish/releases";
        Published { model: self.name(), file: "vggish-10086976.pth", address }.find(weights)
    }

    /// Sets the level and the least length.
    fn prepare(self, mut samples: Vec<f32>) -> Vec<f32> {
        if self == Self::Google {
            // The floor was meant for samples within ±1, and is applied to those of 16-bit integers.
            let highest = samples.iter().copied().fold(0.1 / 32_768.0, f32::max);
            for sample in &mut samples {
                *sample /= highest;
            }
        }
        if !samples.is_empty() && samples.len() < LEAST {
            samples.resize(LEAST, 0.0);
        }
        samples
    }

    /// Where the examples of `length` samples begin.
    fn starts(self, length: usize) -> Vec<usize> {
        let (hop, needed) = match self {
            Self::Torchvggish => (EXAMPLE_HOP, EXAMPLE),
            Self::Google => (LEAST / 2, LEAST),
        };
        (0..length).step_by(hop).take_while(|start| start + needed <= length).collect()
    }
}

impl Embedder for Vggish {
    fn name(&self) -> &'static str {
        self.profile.name()
    }

    fn dim(&self) -> usize {
        self.network.dim()
    }

    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn weights(&self) -> Option<&Path> {
        Some(&self.weights)
    }

    fn embed_all(&self, clips: &[&Audio]) -> Vec<Array2<f32>> {
        let prepare = |clip: &&Audio| self.profile.prepare((*clip).clone().into_mono(SAMPLE_RATE));
        let samples: Vec<Vec<f32>> = clips.par_iter().map(prepare).collect();
        let starts: Vec<Vec<usize>> = samples.iter().map(|samples| self.profile.starts(samples.len())).collect();
        let example = |clip: usize, start: &usize| self.example(&samples[clip], *start);
        batches::through(&starts, [BATCH, self.dim()], example, |values, count| {
            let shape = [count, 1, network::Vggish::FRAMES, network::Vggish::BANDS];
            self.network.forward(Tensor::from_data(TensorData::new(values, shape), &self.device))
        })
    }
}

/// Magnitudes in triangles that are linear in mels, on the HTK scale; the lowest bin counts for nothing.
fn front_end() -> FrontEnd {
    let mel = |hz: f64| 1127.0 * libm::log1p(hz / 700.0);
    let [lowest, highest] = EDGES.map(mel);
    let step = (highest - lowest) / (network::Vggish::BANDS + 1) as f64;
    let bank = MelFilterbank::from_fn(N_FFT / 2 + 1, network::Vggish::BANDS, |band, bin| {
        let position = (mel(bin as f64 * f64::from(SAMPLE_RATE) / N_FFT as f64) - lowest) / step - band as f64;
        if bin == 0 { 0.0 } else { position.min(2.0 - position).max(0.0) as f32 }
    });
    FrontEnd {
        stft: Stft::with_window(N_FFT, WINDOW, HOP),
        bank,
        measure: f32::sqrt,
        log: |band| libm::logf(band + OFFSET),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{difference, file, sound};

    fn open(profile: Profile) -> Vggish {
        Vggish::open(profile, &file("../models/tests/fixtures/vggish/vggish.pth"), &Device::flex()).unwrap()
    }

    #[test]
    fn examples_are_the_published_ones() {
        let samples = sound(SAMPLE_RATE, 1.6).into_mono(SAMPLE_RATE);
        for (profile, name) in [(Profile::Torchvggish, "torchvggish"), (Profile::Google, "google")] {
            let embedder = open(profile);
            let samples = profile.prepare(samples.clone());
            let examples: Vec<f32> =
                profile.starts(samples.len()).iter().flat_map(|start| embedder.example(&samples, *start)).collect();
            // In single precision a bin is wrong by 1e-7 of the loudest, which the logarithm takes by the offset, 0.01: NumPy's
            // own transforms in single precision are 7e-4 from those in double, in the profile that sets the level.
            let [mean, largest] = difference(&examples, "vggish/log_mel.safetensors", name);
            assert!(mean < 1e-4 && largest < 2e-3, "{name}: {mean:e}, {largest:e}");
        }
    }

    #[test]
    fn a_clip_has_the_same_vectors_alone_and_in_company() {
        for profile in [Profile::Torchvggish, Profile::Google] {
            let embedder = open(profile);
            let nothing = Audio { sample_rate: 8000, channels: vec![Vec::new()] };
            let clips = [sound(16_000, 3.0), nothing, sound(22_050, 0.2), sound(16_000, 1.2)];
            let together = embedder.embed_all(&clips.each_ref());
            let frames = if profile == Profile::Google { [5, 0, 1, 1] } else { [3, 0, 1, 1] };
            assert_eq!(together.iter().map(Array2::nrows).collect::<Vec<_>>(), frames);
            for (clip, vectors) in clips.iter().zip(together) {
                assert_eq!(vectors.ncols(), embedder.dim());
                assert_eq!(embedder.embed(clip), vectors);
            }
        }
    }

    #[test]
    fn weights_that_are_not_there_are_asked_for() {
        let error = Vggish::open(Profile::Google, Path::new("nowhere"), &Device::flex()).err().unwrap().to_string();
        assert!(
            error.contains("vggish-10086976.pth") && error.contains("https://") && !error.contains('\n'),
            "{error}"
        );
    }

    #[test]
    fn the_filters_are_the_published_ones() {
        let bank = front_end().bank;
        let weights: Vec<f32> = (0..bank.n_mels()).flat_map(|band| bank.band(band).1.to_vec()).collect();
        // Of torchvggish's own matrix.
        assert_eq!(weights.iter().filter(|weight| **weight != 0.0).count(), 461);
        let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        assert!((sum - 230.913_599_160_847_7).abs() < 1e-4, "{sum}");
        assert_eq!(bank.band(0).0, 5);
        assert!((bank.band(0).1[0] - 0.947_69).abs() < 1e-5);
    }

    #[test]
    fn profiles_hear_the_published_number_of_examples() {
        // Six seconds: 11 of Google's, 6 of torchvggish's.
        assert_eq!([Profile::Google, Profile::Torchvggish].map(|profile| profile.starts(96_000).len()), [11, 6]);
        for (length, expected) in [(15_599, 0), (15_600, 1), (30_959, 1), (30_960, 2)] {
            assert_eq!(Profile::Torchvggish.starts(length).len(), expected, "{length}");
        }
    }

    #[test]
    fn short_clips_are_filled_up_and_levels_set() {
        for profile in [Profile::Torchvggish, Profile::Google] {
            assert_eq!(profile.prepare(vec![0.5, -0.25]).len(), LEAST);
            assert!(profile.prepare(Vec::new()).is_empty() && profile.starts(0).is_empty());
        }
        assert_eq!(Profile::Torchvggish.prepare(vec![0.5, -0.75])[..2], [0.5, -0.75]);
        // By the highest sample, not the largest magnitude.
        assert_eq!(Profile::Google.prepare(vec![0.5, -0.75])[..2], [1.0, -1.5]);
    }
}
