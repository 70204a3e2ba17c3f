//! MERT-v1-95M: the output of one layer, a vector for each frame, as fadtk takes it.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::mert as network;
use nocturne_models::network::{self as networks, NetworkError};
use nocturne_vocoder::audio::Audio;
use serde::Deserialize;

use crate::batches::values;
use crate::embedder::Embedder;
use crate::weights::{Published, WeightsError};

const SAMPLE_RATE: u32 = 24_000;
/// No more of a clip is heard: six minutes.
const LONGEST: usize = 6 * 60 * SAMPLE_RATE as usize;
/// Added to the variance of the samples.
const EPSILON: f64 = 1e-7;

/// The names of the layers, from the first on; the last layer's is the network's own.
pub(crate) const NAMES: [&str; 12] = [
    "MERT-v1-95M-1",
    "MERT-v1-95M-2",
    "MERT-v1-95M-3",
    "MERT-v1-95M-4",
    "MERT-v1-95M-5",
    "MERT-v1-95M-6",
    "MERT-v1-95M-7",
    "MERT-v1-95M-8",
    "MERT-v1-95M-9",
    "MERT-v1-95M-10",
    "MERT-v1-95M-11",
    "MERT-v1-95M",
];

/// The layer of a name, from 1 on; `MERT-v1-95M-12` is the last as well.
pub(crate) fn layer_of(name: &str) -> Option<usize> {
    let last = (name == "MERT-v1-95M-12").then_some(NAMES.len());
    NAMES.iter().position(|known| *known == name).map(|index| index + 1).or(last)
}

/// The folder of the published network.
pub(crate) fn find(layer: usize, weights: &Path) -> Result<PathBuf, WeightsError> {
    let published = Published {
        model: NAMES[layer - 1],
        file: "config.json",
        address: "https://huggingface.co/m-a-p/MERT-v1-95M (with pytorch_model.bin and preprocessor_config.json)",
    };
    let folders = [weights.to_owned(), weights.join(NAMES[NAMES.len() - 1])];
    let found = folders.into_iter().find(|folder| folder.join("config.json").is_file());
    found.ok_or_else(|| published.missing(weights.join("config.json")))
}

/// MERT up to a layer.
#[derive(Clone)]
pub struct Mert {
    network: network::Mert,
    /// From 1 on.
    layer: usize,
    dim: usize,
    normalize: bool,
    weights: PathBuf,
    device: Device,
}

/// `preprocessor_config.json` of transformers, as far as it matters here.
#[derive(Deserialize)]
#[serde(default)]
struct Preprocessor {
    /// Whether samples are brought to mean 0 and variance 1.
    do_normalize: bool,
    sampling_rate: u32,
}

impl Default for Preprocessor {
    fn default() -> Self {
        Self { do_normalize: true, sampling_rate: SAMPLE_RATE }
    }
}

impl Mert {
    /// From the folder of the published network, or one that holds it as `MERT-v1-95M`.
    ///
    /// # Panics
    ///
    /// If there is no such layer: they are 1 to 12.
    pub fn open(layer: usize, weights: &Path, device: &Device) -> Result<Self, WeightsError> {
        let folder = find(layer, weights)?;
        let (config, network) = networks::open::<network::MertConfig>(&folder, device)?;
        let refused = |file: &str, what, found: String, expected: String| WeightsError::FrontEnd {
            file: folder.join(file),
            what,
            found,
            expected,
        };
        if layer > config.num_hidden_layers {
            let found = config.num_hidden_layers.to_string();
            return Err(refused("config.json", "num_hidden_layers", found, format!("{layer} or more")));
        }
        let Preprocessor { do_normalize, sampling_rate } = preprocessor(&folder)?;
        if sampling_rate != SAMPLE_RATE {
            let (found, expected) = (sampling_rate.to_string(), SAMPLE_RATE.to_string());
            return Err(refused("preprocessor_config.json", "sampling_rate", found, expected));
        }
        let weights = Checkpoint::open(&folder)?.path().to_owned();
        let dim = config.hidden_size;
        Ok(Self { network, layer, dim, normalize: do_normalize, weights, device: device.clone() })
    }

    /// The layer of a name, where the network has it.
    fn layer_of(&self, name: &str) -> Option<usize> {
        layer_of(name).filter(|layer| *layer <= self.network.encoder.layers.len())
    }

    /// The vectors of each clip after each of some layers, in one pass: `[layer][clip]`.
    fn embed_layers(&self, layers: &[usize], clips: &[&Audio]) -> Vec<Vec<Array2<f32>>> {
        let mut vectors = vec![Vec::with_capacity(clips.len()); layers.len()];
        for clip in clips {
            let of_clip = self.states(layers, (*clip).clone().into_mono(SAMPLE_RATE));
            vectors.iter_mut().zip(of_clip).for_each(|(vectors, of_clip)| vectors.push(of_clip));
        }
        vectors
    }

    fn states(&self, layers: &[usize], mut samples: Vec<f32>) -> Vec<Array2<f32>> {
        samples.truncate(LONGEST);
        if self.network.feature_extractor.frames(samples.len()) == 0 {
            return vec![Array2::zeros((0, self.dim)); layers.len()];
        }
        let samples = if self.normalize { normalised(samples) } else { samples };
        let shape = [1, 1, samples.len()];
        let samples = Tensor::from_data(TensorData::new(samples, shape), &self.device);
        let states = self.network.states(samples, layers.iter().copied().max().unwrap_or(0));
        let of_layer = |layer: &usize| {
            let vectors = values(states[*layer].clone().squeeze_dim(0));
            Array2::from_shape_vec((vectors.len() / self.dim, self.dim), vectors).expect("whole vectors")
        };
        layers.iter().map(of_layer).collect()
    }
}

fn preprocessor(folder: &Path) -> Result<Preprocessor, NetworkError> {
    let file = folder.join("preprocessor_config.json");
    if !file.is_file() {
        return Ok(Preprocessor::default());
    }
    let text = std::fs::read(&file).map_err(|source| NetworkError::Io { file: file.clone(), source })?;
    serde_json::from_slice(&text).map_err(|source| NetworkError::Json { file, source })
}

impl Embedder for Mert {
    fn name(&self) -> &'static str {
        NAMES[self.layer - 1]
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn weights(&self) -> Option<&Path> {
        Some(&self.weights)
    }

    fn embed_all(&self, clips: &[&Audio]) -> Vec<Array2<f32>> {
        self.embed_layers(&[self.layer], clips).remove(0)
    }

    fn embed_as(&self, names: &[&str], clips: &[&Audio]) -> Vec<Option<Vec<Array2<f32>>>> {
        let layers: Vec<Option<usize>> = names.iter().map(|name| self.layer_of(name)).collect();
        let mut vectors = self.embed_layers(&layers.iter().copied().flatten().collect::<Vec<_>>(), clips).into_iter();
        layers.iter().map(|layer| layer.and_then(|_| vectors.next())).collect()
    }

    fn sibling(&self, name: &str) -> Option<Box<dyn Embedder>> {
        Some(Box::new(Self { layer: self.layer_of(name)?, ..self.clone() }))
    }
}

/// Samples of mean 0 and variance 1.
fn normalised(samples: Vec<f32>) -> Vec<f32> {
    let count = samples.len() as f64;
    let mean = samples.iter().map(|sample| f64::from(*sample)).sum::<f64>() / count;
    let variance = samples.iter().map(|sample| (f64::from(*sample) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + EPSILON).sqrt();
    samples.into_iter().map(|sample| ((f64::from(sample) - mean) * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{file, sound};

    fn open(layer: usize, name: &str) -> Result<Mert, WeightsError> {
        Mert::open(layer, &file(&format!("../models/tests/fixtures/mert/{name}")), &Device::flex())
    }

    /// As the network's own test makes it.
    fn waveform() -> Audio {
        let sample = |index: u32| {
            let index = f64::from(index);
            (0.4 * libm::sin(0.11 * index) + 0.3 * libm::cos(0.000_13 * libm::pow(index, 1.5)) + 0.05) as f32
        };
        Audio { sample_rate: SAMPLE_RATE, channels: vec![(0..9000).map(sample).collect()] }
    }

    #[test]
    fn vectors_are_the_published_hidden_states() {
        let taps = Checkpoint::open(&file("../models/tests/fixtures/mert/mert.safetensors")).unwrap();
        let first = open(1, "mert").unwrap();
        assert!(first.sibling("MERT-v1-95M").is_none() && first.sibling("vggish").is_none());
        for layer in 1..=3 {
            let found = first.sibling(NAMES[layer - 1]).unwrap().embed(&waveform());
            assert_eq!(found, open(layer, "mert").unwrap().embed(&waveform()));
            assert_eq!(found.dim(), (27, 24));
            let expected = taps.read(&format!("states.{layer}")).unwrap();
            let differences = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
            let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            assert!(differences.fold(0.0, f32::max) < 1e-4 * largest, "layer {layer}");
        }
    }

    #[test]
    fn layers_are_heard_in_one_pass() {
        let embedder = open(2, "mert").unwrap();
        let clips = [waveform(), sound(24_000, 0.4)];
        let names = ["MERT-v1-95M-3", "vggish", "MERT-v1-95M-2", "MERT-v1-95M-1", "MERT-v1-95M"];
        let found = embedder.embed_as(&names, &clips.each_ref());
        for (name, found) in names.iter().zip(found) {
            let expected = embedder.sibling(name).map(|sibling| sibling.embed_all(&clips.each_ref()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_clip_has_the_same_vectors_alone_and_in_company() {
        let embedder = open(2, "mert").unwrap();
        let [nothing, little] = [0, 399].map(|length| Audio { sample_rate: 24_000, channels: vec![vec![0.1; length]] });
        let clips = [sound(24_000, 0.4), nothing, sound(48_000, 0.2), little];
        let together = embedder.embed_all(&clips.each_ref());
        assert_eq!(together.iter().map(Array2::nrows).collect::<Vec<_>>(), [29, 0, 14, 0]);
        for (clip, vectors) in clips.iter().zip(together) {
            assert_eq!(embedder.embed(clip), vectors);
        }
    }

    #[test]
    fn layers_are_known_by_their_names() {
        assert_eq!(["MERT-v1-95M-1", "MERT-v1-95M-11", "MERT-v1-95M"].map(layer_of), [Some(1), Some(11), Some(12)]);
        assert_eq!(["MERT-v1-95M-12", "MERT-v1-95M-0", "MERT-v1-95M-13"].map(layer_of), [Some(12), None, None]);
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(layer_of(name), Some(index + 1));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = open(4, "mert").err().unwrap().to_string();
        assert!(error.contains("num_hidden_layers") && error.contains('3'), "{error}");
        let error = Mert::open(12, Path::new("nowhere"), &Device::flex()).err().unwrap().to_string();
        assert!(error.starts_with("MERT-v1-95M needs ") && error.contains("https://"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.json", "pytorch_model.bin"] {
            std::fs::copy(file(&format!("../models/tests/fixtures/mert/mert/{name}")), folder.path().join(name))
                .unwrap();
        }
        let settings = "{\"sampling_rate\": 16000, \"do_normalize\": false}";
        std::fs::write(folder.path().join("preprocessor_config.json"), settings).unwrap();
        let error = Mert::open(1, folder.path(), &Device::flex()).err().unwrap().to_string();
        assert!(error.contains("sampling_rate") && error.contains("16000"), "{error}");
    }
}
