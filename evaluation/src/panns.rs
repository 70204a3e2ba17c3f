//! PANNs' Cnn14: an embedding of a whole clip, and what classes of AudioSet are heard in it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::panns::{Cnn14, Heard};
use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::mel::{MelFilterbank, Stft, pad_reflect};
use rayon::prelude::*;

use crate::batches::values;
use crate::embedder::Embedder;
use crate::front_end::FrontEnd;
use crate::weights::{Published, WeightsError};

/// Shorter sounds are filled up with silence to this many samples, as `audioldm_eval` does.
const LEAST: usize = 32_000;
/// The lower edge of the lowest band, in Hz.
const LOWEST: f64 = 50.0;
const ADDRESS: &str = "https://zenodo.org/records/3987831";

/// The two published networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// 16 kHz.
    Khz16,
    /// 32 kHz.
    Khz32,
}

/// How a clip is cut for classification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// Not at all (`audioldm_eval`).
    Whole,
    /// Ten seconds after ten seconds, and what is left, unless it is 0.15 s or less (audiocraft).
    Apart,
    /// Ten seconds each five (stable-audio-metrics): the last may begin before the clip's last five seconds.
    Overlapping,
}

/// Cnn14 with its front end.
pub struct Panns {
    network: Cnn14,
    front_end: FrontEnd,
    rate: Rate,
    weights: PathBuf,
    device: Device,
}

impl Panns {
    /// From the published file, or a folder that holds it.
    ///
    /// # Errors
    ///
    /// Also if the file holds the filters of another front end, as that of the other rate does.
    pub fn open(rate: Rate, weights: &Path, device: &Device) -> Result<Self, WeightsError> {
        let weights = rate.find(weights)?;
        let checkpoint = Checkpoint::open(&weights)?;
        let front_end = rate.front_end();
        check_filters(&checkpoint, &front_end.bank)?;
        let network = Cnn14::load(checkpoint, device)?;
        Ok(Self { network, front_end, rate, weights, device: device.clone() })
    }

    /// The logits of every segment. Classes do not exclude each other: their published probabilities are sigmoids.
    ///
    /// # Shapes
    /// - output: `[segment, class]`; none of a clip without samples
    pub fn classify(&self, clip: &Audio, segments: Segments) -> Array2<f32> {
        let samples = clip.clone().into_mono(self.rate.hz());
        let cuts = segments.cut(samples.len(), self.rate.hz() as usize);
        let logits: Vec<f32> = cuts.iter().flat_map(|cut| values(self.hear(&samples[cut.clone()]).logits)).collect();
        Array2::from_shape_vec((cuts.len(), self.network.classes()), logits).expect("one row a segment")
    }

    /// Mono samples at the network's rate, at least one.
    fn hear(&self, samples: &[f32]) -> Heard {
        let mel = log_mel(&self.front_end, samples);
        let shape = [1, 1, mel.len() / Cnn14::BANDS, Cnn14::BANDS];
        self.network.forward(Tensor::from_data(TensorData::new(mel, shape), &self.device))
    }
}

impl Rate {
    fn name(self) -> &'static str {
        match self {
            Self::Khz16 => "panns-cnn14-16k",
            Self::Khz32 => "panns-cnn14-32k",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Khz16 => "Cnn14_16k_mAP=0.438.pth",
            Self::Khz32 => "Cnn14_mAP=0.431.pth",
        }
    }

    pub(crate) fn find(self, weights: &Path) -> Result<PathBuf, WeightsError> {
        Published { model: self.name(), file: self.file(), address: ADDRESS }.find(weights)
    }

    fn hz(self) -> u32 {
        match self {
            Self::Khz16 => 16_000,
            Self::Khz32 => 32_000,
        }
    }

    fn front_end(self) -> FrontEnd {
        let (n_fft, hop, highest) = match self {
            Self::Khz16 => (512, 160, 8_000.0),
            Self::Khz32 => (1024, 320, 14_000.0),
        };
        let bank = MelFilterbank::new(self.hz(), n_fft, Cnn14::BANDS, LOWEST, highest);
        FrontEnd::decibels(Stft::new(n_fft, hop), bank)
    }
}

/// `[frame, mel]`, flat, of centred frames over reflected edges.
fn log_mel(front_end: &FrontEnd, samples: &[f32]) -> Vec<f32> {
    let mut samples = samples.to_vec();
    samples.resize(samples.len().max(LEAST), 0.0);
    front_end.frames(&pad_reflect(&samples, front_end.stft.n_fft() / 2))
}

impl Segments {
    fn cut(self, length: usize, rate: usize) -> Vec<Range<usize>> {
        let segment = 10 * rate;
        let from = |start: usize| start..length.min(start + segment);
        match self {
            _ if length == 0 => Vec::new(),
            Self::Whole => std::iter::once(0..length).collect(),
            Self::Apart => {
                let mut cuts: Vec<Range<usize>> = (0..length).step_by(segment).map(from).collect();
                // What alone is left of a clip is heard, however short.
                if cuts.len() > 1 && cuts.last().is_some_and(|cut| cut.len() * 100 <= 15 * rate) {
                    cuts.pop();
                }
                cuts
            }
            Self::Overlapping => {
                let step = segment / 2;
                (0..length.saturating_sub(step).max(step)).step_by(step).map(from).collect()
            }
        }
    }
}

impl Embedder for Panns {
    fn name(&self) -> &'static str {
        self.rate.name()
    }

    fn dim(&self) -> usize {
        self.network.dim()
    }

    fn sample_rate(&self) -> u32 {
        self.rate.hz()
    }

    fn weights(&self) -> Option<&Path> {
        Some(&self.weights)
    }

    /// One vector a clip. Clips have lengths of their own, so each goes through the network alone.
    fn embed_all(&self, clips: &[&Audio]) -> Vec<Array2<f32>> {
        let samples: Vec<Vec<f32>> = clips.par_iter().map(|clip| (*clip).clone().into_mono(self.rate.hz())).collect();
        let vectors = samples.iter().map(|samples| {
            let vector = if samples.is_empty() { Vec::new() } else { values(self.hear(samples).embedding) };
            let rows = usize::from(!samples.is_empty());
            Array2::from_shape_vec((rows, self.dim()), vector).expect("one vector a clip")
        });
        vectors.collect()
    }
}

/// What Cnn14 makes of each segment of a clip, taken for vectors, so that predictions are kept and compared as embeddings are.
pub struct Logits {
    panns: Arc<Panns>,
    segments: Segments,
}

impl Logits {
    /// The names, and what each says.
    pub const NAMES: [(&str, Rate, Segments); 6] = [
        ("panns-cnn14-16k-logits", Rate::Khz16, Segments::Whole),
        ("panns-cnn14-16k-logits-apart", Rate::Khz16, Segments::Apart),
        ("panns-cnn14-16k-logits-overlapping", Rate::Khz16, Segments::Overlapping),
        ("panns-cnn14-32k-logits", Rate::Khz32, Segments::Whole),
        ("panns-cnn14-32k-logits-apart", Rate::Khz32, Segments::Apart),
        ("panns-cnn14-32k-logits-overlapping", Rate::Khz32, Segments::Overlapping),
    ];

    /// Of every segment.
    pub fn new(panns: Panns, segments: Segments) -> Self {
        Self { panns: Arc::new(panns), segments }
    }

    /// What a name says, if it is one of these.
    pub fn named(name: &str) -> Option<(Rate, Segments)> {
        Self::NAMES.iter().find(|(known, ..)| *known == name).map(|(_, rate, segments)| (*rate, *segments))
    }
}

impl Embedder for Logits {
    fn name(&self) -> &'static str {
        let is_ours =
            |(_, rate, segments): &&(&str, Rate, Segments)| (*rate, *segments) == (self.panns.rate, self.segments);
        Self::NAMES.iter().find(is_ours).map_or("", |(name, ..)| name)
    }

    fn dim(&self) -> usize {
        self.panns.network.classes()
    }

    fn sample_rate(&self) -> u32 {
        self.panns.sample_rate()
    }

    fn weights(&self) -> Option<&Path> {
        self.panns.weights()
    }

    /// One vector a segment.
    fn embed_all(&self, clips: &[&Audio]) -> Vec<Array2<f32>> {
        clips.iter().map(|clip| self.panns.classify(clip, self.segments)).collect()
    }

    fn sibling(&self, name: &str) -> Option<Box<dyn Embedder>> {
        let (rate, segments) = Self::named(name)?;
        (rate == self.panns.rate).then(|| Box::new(Self { panns: self.panns.clone(), segments }) as _)
    }
}

/// Compares the filters in a published file with ours.
fn check_filters(checkpoint: &Checkpoint, bank: &MelFilterbank) -> Result<(), WeightsError> {
    const FILTERS: [&str; 2] = ["model.logmel_extractor.melW", "logmel_extractor.melW"];
    let Some((name, shape)) = FILTERS.iter().find_map(|name| Some((name, checkpoint.shape(name)?))) else {
        return Ok(());
    };
    let differs = |found: String, expected: String| {
        Err(WeightsError::FrontEnd { file: checkpoint.path().to_owned(), what: "mel filters", found, expected })
    };
    let expected = [bank.bins(), bank.n_mels()];
    if shape != expected {
        return differs(format!("{shape:?}"), format!("{expected:?}"));
    }
    let mut difference = checkpoint.read(name)?;
    for band in 0..bank.n_mels() {
        let (first, weights) = bank.band(band);
        for (bin, weight) in weights.iter().enumerate() {
            difference[(first + bin) * bank.n_mels() + band] -= weight;
        }
    }
    let largest = difference.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    // The largest weight is about 0.03; librosa's versions differ by roundings.
    if largest < 1e-5 { Ok(()) } else { differs(format!("filters {largest} apart"), "those of the network".to_owned()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
    use super::*;
    use crate::testing::{difference, file, sound};
    use nocturne_models::checkpoint;

    const FIXTURE: &str = "../models/tests/fixtures/panns/cnn14.pth";

    /// The network of the fixture, saved without the tables of its front end.
    fn open(rate: Rate) -> Panns {
        let network = Cnn14::load(Checkpoint::open(&file(FIXTURE)).unwrap(), &Device::flex()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cnn14.safetensors");
        checkpoint::save(&network, &path).unwrap();
        Panns::open(rate, &path, &Device::flex()).unwrap()
    }

    #[test]
    fn mels_are_librosas() {
        for (rate, name) in [(Rate::Khz16, "16k"), (Rate::Khz32, "32k")] {
            let front_end = rate.front_end();
            let samples = sound(rate.hz(), 0.8).into_mono(rate.hz());
            let mel = front_end.frames(&pad_reflect(&samples, front_end.stft.n_fft() / 2));
            let [mean, largest] = difference(&mel, "panns/log_mel.safetensors", name);
            // Decibels, 100 dB below the loudest: in single precision NumPy's are 0.08 from those in double.
            assert!(mean < 0.005 && largest < 0.2, "{name}: {mean}, {largest}");
        }
    }

    #[test]
    fn clips_of_all_lengths_are_heard() {
        let panns = open(Rate::Khz16);
        let nothing = Audio { sample_rate: 16_000, channels: Vec::new() };
        let clips = [sound(16_000, 11.0), nothing, sound(44_100, 0.01)];
        let together = panns.embed_all(&clips.each_ref());
        assert_eq!(together.iter().map(Array2::dim).collect::<Vec<_>>(), [(1, 10), (0, 10), (1, 10)]);
        for (clip, vectors) in clips.iter().zip(together) {
            assert_eq!(panns.embed(clip), vectors);
            assert_eq!(panns.classify(clip, Segments::Whole).dim(), (vectors.nrows(), 7));
        }
        let segments = panns.classify(&clips[0], Segments::Apart);
        assert_eq!(segments.dim(), (2, 7));
        let logits = Logits::new(open(Rate::Khz16), Segments::Whole);
        let apart = logits.sibling("panns-cnn14-16k-logits-apart").unwrap();
        assert_eq!((logits.name(), apart.name()), ("panns-cnn14-16k-logits", "panns-cnn14-16k-logits-apart"));
        assert_eq!((apart.dim(), apart.embed(&clips[0])), (7, segments.clone()));
        assert!(logits.sibling("panns-cnn14-32k-logits").is_none() && logits.sibling("panns-cnn14-16k").is_none());
        let first = Audio { sample_rate: 16_000, channels: vec![clips[0].channels[0][..160_000].to_vec()] };
        assert_eq!(panns.classify(&first, Segments::Whole).row(0), segments.row(0));
    }

    #[test]
    fn the_filters_in_the_file_must_be_those_of_the_rate() {
        let error = Panns::open(Rate::Khz16, &file(FIXTURE), &Device::flex()).err().unwrap();
        let message = error.to_string();
        assert!(message.contains("mel filters: found [2, 64], expected [257, 64]"), "{message}");
        let missing = Panns::open(Rate::Khz32, Path::new("nowhere"), &Device::flex()).err().unwrap().to_string();
        assert!(missing.contains("Cnn14_mAP=0.431.pth") && missing.contains("https://zenodo.org"), "{missing}");
    }

    #[test]
    fn clips_are_cut_as_published() {
        let cut = |segments: Segments, length| segments.cut(length, 1);
        assert_eq!(cut(Segments::Whole, 25), [0..25]);
        assert_eq!(cut(Segments::Apart, 25), [0..10, 10..20, 20..25]);
        assert_eq!(cut(Segments::Apart, 20), [0..10, 10..20]);
        assert_eq!(Segments::Apart.cut(1015, 100), [0..1000]);
        assert_eq!(Segments::Apart.cut(1016, 100), [0..1000, 1000..1016]);
        assert_eq!(Segments::Apart.cut(7, 100), [0..7]);
        assert_eq!(cut(Segments::Overlapping, 25), [0..10, 5..15, 10..20, 15..25]);
        assert_eq!(cut(Segments::Overlapping, 12), [0..10, 5..12]);
        assert_eq!(cut(Segments::Overlapping, 4), [0..4]);
        for segments in [Segments::Whole, Segments::Apart, Segments::Overlapping] {
            assert!(cut(segments, 0).is_empty());
        }
    }
}
