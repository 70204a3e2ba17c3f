//! LAION's CLAP, its audio branch: ten seconds are one vector of length 1.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::clap::ClapAudio;
use nocturne_models::network::NetworkError;
use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::mel::{MelFilterbank, Stft, pad_reflect};
use rayon::prelude::*;
use serde::Deserialize;

use crate::batches;
use crate::embedder::Embedder;
use crate::front_end::FrontEnd;
use crate::weights::{Published, WeightsError};

const SAMPLE_RATE: u32 = 48_000;
const N_FFT: usize = 1024;
const HOP: usize = 480;
const BANDS: usize = 64;
/// Edges of the lowest and the highest band, in Hz.
const EDGES: [f64; 2] = [50.0, 14_000.0];
/// Samples of what the network hears at once, ten seconds, and from one to the next.
const WINDOW: usize = 480_000;
const STEP: usize = 48_000;
/// The largest of 16 bits.
const FULL_SCALE: f32 = 32_767.0;
/// Windows that go through the network together.
const BATCH: usize = 8;

/// The published networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Training {
    /// HTSAT-tiny, trained on 630 thousand sounds of all kinds.
    Audio,
    /// HTSAT-base, trained on music.
    Music,
}

/// How a clip becomes windows of ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// One begins at each second; what is beyond the clip's end is silent (fadtk). For distances between sets.
    EverySecond,
    /// One for the clip: a shorter clip is repeated as often as it fits whole, then silence (`laion_clap`); of a longer one
    /// the ten seconds in its middle, where `laion_clap` takes some at random. For scores of a clip and its caption.
    OfClip,
}

/// The scale and the areas of the mel filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filters {
    /// Slaney's, of networks trained without fusion.
    Slaney,
    /// The HTK scale and triangles of height 1, of those trained with it.
    Htk,
}

/// CLAP's audio branch with its front end.
pub struct Clap {
    hearing: Arc<Hearing>,
    windows: Windows,
}

struct Hearing {
    network: ClapAudio,
    front_end: FrontEnd,
    training: Training,
    weights: PathBuf,
    device: Device,
}

/// `preprocessor_config.json` of transformers, as far as it matters here.
#[derive(Default, Deserialize)]
struct Preprocessor {
    truncation: Option<String>,
}

impl Clap {
    /// From LAION's file, a folder that holds it, or a folder of transformers' `ClapModel`.
    pub fn open(training: Training, windows: Windows, weights: &Path, device: &Device) -> Result<Self, WeightsError> {
        let path = training.find(weights)?;
        let (_, network) = ClapAudio::open(&path, device)?;
        let front_end = filters_of(&path)?.front_end();
        let weights = Checkpoint::open(&path)?.path().to_owned();
        let hearing = Arc::new(Hearing { network, front_end, training, weights, device: device.clone() });
        Ok(Self { hearing, windows })
    }
}

impl Training {
    fn name(self) -> &'static str {
        match self {
            Self::Audio => "clap-laion-audio",
            Self::Music => "clap-laion-music",
        }
    }

    pub(crate) fn find(self, weights: &Path) -> Result<PathBuf, WeightsError> {
        let file = match self {
            Self::Audio => "630k-audioset-best.pt",
            Self::Music => "music_audioset_epoch_15_esc_90.14.pt",
        };
        Published { model: self.name(), file, address: "https://huggingface.co/lukewys/laion_clap" }
            .find_or_folder(weights)
    }
}

impl Embedder for Clap {
    fn name(&self) -> &'static str {
        match (self.windows, self.hearing.training) {
            (Windows::EverySecond, training) => training.name(),
            (Windows::OfClip, Training::Audio) => "clap-laion-audio-clip",
            (Windows::OfClip, Training::Music) => "clap-laion-music-clip",
        }
    }

    fn dim(&self) -> usize {
        self.hearing.network.dim()
    }

    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn weights(&self) -> Option<&Path> {
        Some(&self.hearing.weights)
    }

    fn embed_all(&self, clips: &[&Audio]) -> Vec<Array2<f32>> {
        let Hearing { network, front_end, device, .. } = &*self.hearing;
        let prepare = |clip: &&Audio| {
            let samples = (*clip).clone().into_mono(SAMPLE_RATE).into_iter().map(through_16_bits).collect();
            self.windows.prepare(samples)
        };
        let samples: Vec<Vec<f32>> = clips.par_iter().map(prepare).collect();
        let starts: Vec<Vec<usize>> = samples.iter().map(|samples| self.windows.starts(samples.len())).collect();
        let mel = |clip: usize, start: &usize| window_mel(front_end, &samples[clip][*start..]);
        batches::through(&starts, [BATCH, self.dim()], mel, |values, count| {
            let shape = [count, 1, values.len() / (count * BANDS), BANDS];
            network.forward(Tensor::from_data(TensorData::new(values, shape), device))
        })
    }

    fn sibling(&self, name: &str) -> Option<Box<dyn Embedder>> {
        let siblings =
            [Windows::EverySecond, Windows::OfClip].map(|windows| Self { hearing: self.hearing.clone(), windows });
        siblings.into_iter().find(|sibling| sibling.name() == name).map(|sibling| Box::new(sibling) as _)
    }
}

impl Windows {
    /// What the windows are cut from.
    fn prepare(self, samples: Vec<f32>) -> Vec<f32> {
        match (self, samples.len()) {
            (Self::OfClip, WINDOW..) => samples[(samples.len() - WINDOW) / 2..][..WINDOW].to_vec(),
            (Self::OfClip, 1..) => samples.repeat(WINDOW / samples.len()),
            _ => samples,
        }
    }

    fn starts(self, length: usize) -> Vec<usize> {
        match self {
            Self::EverySecond => (0..length).step_by(STEP).collect(),
            Self::OfClip => (0..length).take(1).collect(),
        }
    }
}

/// A sample as a file of 16 bits would hold it, cut towards zero, as the networks were trained.
fn through_16_bits(sample: f32) -> f32 {
    (sample.clamp(-1.0, 1.0) * FULL_SCALE).trunc() / FULL_SCALE
}

/// The mel of the first ten seconds, silence behind them if they are fewer: 1001 centred frames, flat.
fn window_mel(front_end: &FrontEnd, samples: &[f32]) -> Vec<f32> {
    let mut window = samples[..samples.len().min(WINDOW)].to_vec();
    window.resize(WINDOW, 0.0);
    front_end.frames(&pad_reflect(&window, N_FFT / 2))
}

/// LAION's files without fusion, and transformers' that say `rand_trunc`, have one kind of filters; `fusion` the other.
fn filters_of(path: &Path) -> Result<Filters, WeightsError> {
    let file = path.join("preprocessor_config.json");
    if !file.is_file() {
        return Ok(Filters::Slaney);
    }
    let io = |source| NetworkError::Io { file: file.clone(), source };
    let json = |source| NetworkError::Json { file: file.clone(), source };
    let settings: Preprocessor = serde_json::from_slice(&std::fs::read(&file).map_err(io)?).map_err(json)?;
    Ok(if settings.truncation.as_deref() == Some("fusion") { Filters::Htk } else { Filters::Slaney })
}

impl Filters {
    fn front_end(self) -> FrontEnd {
        let [lowest, highest] = EDGES;
        let bank = match self {
            Self::Slaney => MelFilterbank::new(SAMPLE_RATE, N_FFT, BANDS, lowest, highest),
            Self::Htk => htk_bank(),
        };
        FrontEnd::decibels(Stft::new(N_FFT, HOP), bank)
    }
}

/// Triangles of height 1, linear in Hz, whose corners are evenly spaced on the HTK scale.
fn htk_bank() -> MelFilterbank {
    let [lowest, highest] = EDGES.map(|hz| 2595.0 * libm::log10(1.0 + hz / 700.0));
    let corner = |index: usize| {
        let mel = lowest + (highest - lowest) * index as f64 / (BANDS + 1) as f64;
        700.0 * (libm::pow(10.0, mel / 2595.0) - 1.0)
    };
    let corners: Vec<f64> = (0..BANDS + 2).map(corner).collect();
    MelFilterbank::from_fn(N_FFT / 2 + 1, BANDS, |band, bin| {
        let hz = bin as f64 * f64::from(SAMPLE_RATE) / N_FFT as f64;
        let [lower, centre, upper] = [0, 1, 2].map(|corner| corners[band + corner]);
        ((hz - lower) / (centre - lower)).min((upper - hz) / (upper - centre)).max(0.0) as f32
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{difference, file, sound};

    fn open(windows: Windows, weights: &str) -> Clap {
        let weights = file(&format!("../models/tests/fixtures/clap/{weights}"));
        Clap::open(Training::Music, windows, &weights, &Device::flex()).unwrap()
    }

    fn tones() -> Vec<f32> {
        let sample = |index: i32| {
            let turns = std::f64::consts::TAU * f64::from(index) / f64::from(SAMPLE_RATE);
            through_16_bits((0.5 * libm::sin(turns * 440.0) + 0.25 * libm::sin(turns * 3000.0)) as f32)
        };
        (0..WINDOW as i32).map(sample).collect()
    }

    #[test]
    fn mels_are_the_published_ones() {
        for (filters, name) in [(Filters::Slaney, "slaney"), (Filters::Htk, "htk")] {
            let mel = window_mel(&filters.front_end(), &tones());
            assert_eq!(mel.len(), 1001 * BANDS);
            let seen = [&mel[..40 * BANDS], &mel[991 * BANDS..]].concat();
            let [mean, largest] = difference(&seen, "clap/log_mel.safetensors", name);
            // Decibels, 100 dB below the tones: in single precision NumPy's are 0.03 from those in double.
            assert!(mean < 0.01 && largest < 0.1, "{name}: {mean}, {largest}");
        }
    }

    #[test]
    fn filters_are_the_published_ones() {
        for (filters, count, expected) in [(Filters::Slaney, 577, 1.364_432_8), (Filters::Htk, 580, 290.150_27)] {
            let bank = filters.front_end().bank;
            let weights: Vec<f32> = (0..BANDS).flat_map(|band| bank.band(band).1.to_vec()).collect();
            assert_eq!(weights.iter().filter(|weight| **weight > 0.0).count(), count);
            let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            assert!((sum / expected - 1.0).abs() < 1e-6, "{sum}");
        }
    }

    #[test]
    fn samples_are_cut_to_16_bits_towards_zero() {
        for (sample, expected) in [
            (0.5, 0.499_984_740_745_262),
            (-0.5, -0.499_984_740_745_262),
            (0.999_99, 0.999_969_481_490_524),
            (1.2, 1.0),
            (-1e-5, 0.0),
            (3.06e-5, 3.051_850_947_599_719e-5),
        ] {
            assert!((through_16_bits(sample) - expected as f32).abs() < 1e-9, "{sample}");
        }
    }

    #[test]
    fn clips_become_windows_as_in_the_toolkits() {
        let starts = |length| Windows::EverySecond.starts(length);
        assert_eq!([0, 1, 48_000, 48_001, 480_000].map(|length| starts(length).len()), [0, 1, 1, 2, 10]);
        let prepared = |samples: &[f32]| Windows::OfClip.prepare(samples.to_vec());
        // Whole repetitions alone; silence is added behind them.
        assert_eq!(prepared(&vec![1.0; 200_000]).len(), 400_000);
        assert_eq!(prepared(&vec![1.0; WINDOW]).len(), WINDOW);
        let long: Vec<f32> = (0..WINDOW + 7).map(|index| index as f32).collect();
        assert_eq!(prepared(&long)[..2], [3.0, 4.0]);
        assert!(prepared(&[]).is_empty());
        assert_eq!([0, 1, WINDOW].map(|length| Windows::OfClip.starts(length).len()), [0, 1, 1]);
    }

    #[test]
    fn a_clip_has_the_same_vectors_alone_and_in_company_from_either_layout() {
        let nothing = Audio { sample_rate: 48_000, channels: vec![Vec::new()] };
        let clips = [sound(48_000, 2.5), nothing, sound(44_100, 0.3)];
        let embedder = open(Windows::EverySecond, "laion.pt");
        let together = embedder.embed_all(&clips.each_ref());
        assert_eq!(together.iter().map(Array2::dim).collect::<Vec<_>>(), [(3, 12), (0, 12), (1, 12)]);
        let other = open(Windows::EverySecond, "transformers");
        for (clip, vectors) in clips.iter().zip(together) {
            assert_eq!(embedder.embed(clip), vectors);
            assert_eq!(other.embed(clip), vectors);
        }
        let whole = open(Windows::OfClip, "laion.pt");
        assert_eq!(whole.embed_all(&clips.each_ref()).iter().map(Array2::nrows).collect::<Vec<_>>(), [1, 0, 1]);
    }

    #[test]
    fn transformers_folder_says_which_filters() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(filters_of(folder.path()).unwrap(), Filters::Slaney);
        for (text, filters) in [("rand_trunc", Filters::Slaney), ("fusion", Filters::Htk)] {
            let settings = format!("{{\"truncation\": \"{text}\", \"hop_length\": 480}}");
            std::fs::write(folder.path().join("preprocessor_config.json"), settings).unwrap();
            assert_eq!(filters_of(folder.path()).unwrap(), filters);
        }
        std::fs::write(folder.path().join("preprocessor_config.json"), "[").unwrap();
        assert!(filters_of(folder.path()).unwrap_err().to_string().contains("preprocessor_config.json"));
    }

    #[test]
    fn weights_that_are_not_there_are_asked_for() {
        let open = |training| Clap::open(training, Windows::OfClip, Path::new("nowhere"), &Device::flex());
        for (training, name) in [(Training::Audio, "630k-audioset-best.pt"), (Training::Music, "music_audioset")] {
            let error = open(training).err().unwrap().to_string();
            assert!(
                error.contains(name) && error.contains("https://huggingface.co") && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
