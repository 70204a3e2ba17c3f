//! `EnCodec`'s encoder: what goes into the quantiser, a vector for each frame, as fadtk takes it.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::encodec as network;
use nocturne_vocoder::audio::Audio;

use crate::batches::values;
use crate::embedder::Embedder;
use crate::weights::{Published, WeightsError};

/// No more of a clip is heard, in seconds.
const LONGEST: usize = 180;
/// Segments that go through the network together.
const BATCH: usize = 8;

/// The published networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Mono, causal: a clip as a whole.
    Khz24,
    /// Stereo: segments of one second, without overlap and at their own loudness.
    Khz48,
    /// `MusicGen`'s: a clip as a whole. fadtk has no such embedder.
    Khz32,
}

/// The encoder of a variant.
pub struct Encodec {
    network: network::Encodec,
    variant: Variant,
    channels: usize,
    dim: usize,
    weights: PathBuf,
    device: Device,
}

impl Encodec {
    /// From Meta's file, audiocraft's, a folder that holds it, or a folder of transformers' `EncodecModel`.
    pub fn open(variant: Variant, weights: &Path, device: &Device) -> Result<Self, WeightsError> {
        let path = variant.find(weights)?;
        let (config, network) = network::open(&path, device)?;
        let found = config.sampling_rate;
        if found != variant.sample_rate() {
            let (found, expected) = (found.to_string(), variant.sample_rate().to_string());
            return Err(WeightsError::FrontEnd { file: path, what: "sampling rate", found, expected });
        }
        let weights = Checkpoint::open(&path)?.path().to_owned();
        let (channels, dim) = (config.audio_channels, config.hidden_size);
        Ok(Self { network, variant, channels, dim, weights, device: device.clone() })
    }

    /// The vectors of mono samples at the variant's rate; all channels of the network hear the same.
    fn vectors(&self, samples: &[f32]) -> Vec<f32> {
        let whole = samples.len().max(1);
        let length = if self.variant == Variant::Khz48 { self.variant.sample_rate() as usize } else { whole };
        let segments: Vec<&[f32]> = samples.chunks(length).collect();
        let mut vectors = Vec::new();
        // The last may be shorter, and is alone.
        for segments in segments.chunk_by(|a, b| a.len() == b.len()).flat_map(|segments| segments.chunks(BATCH)) {
            let shape = [segments.len(), 1, segments[0].len()];
            let input = Tensor::<3>::from_data(TensorData::new(segments.concat(), shape), &self.device);
            let encodings = self.network.encoder.forward(input.repeat_dim(1, self.channels));
            vectors.extend(values(encodings.swap_dims(1, 2).flatten(0, 1)));
        }
        vectors
    }
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Self::Khz24 => "encodec-emb",
            Self::Khz48 => "encodec-emb-48k",
            Self::Khz32 => "encodec-emb-32k",
        }
    }

    fn sample_rate(self) -> u32 {
        match self {
            Self::Khz24 => 24_000,
            Self::Khz48 => 48_000,
            Self::Khz32 => 32_000,
        }
    }

    pub(crate) fn find(self, weights: &Path) -> Result<PathBuf, WeightsError> {
        let (file, address) = match self {
            Self::Khz24 => ("encodec_24khz-d7cc33bc.th", "https://dl.fbaipublicfiles.com/encodec/v0"),
            Self::Khz48 => ("encodec_48khz-7e698e3e.th", "https://dl.fbaipublicfiles.com/encodec/v0"),
            Self::Khz32 => ("compression_state_dict.bin", "https://huggingface.co/facebook/musicgen-small"),
        };
        Published { model: self.name(), file, address }.find_or_folder(weights)
    }
}

impl Embedder for Encodec {
    fn name(&self) -> &'static str {
        self.variant.name()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn sample_rate(&self) -> u32 {
        self.variant.sample_rate()
    }

    fn weights(&self) -> Option<&Path> {
        Some(&self.weights)
    }

    fn embed_all(&self, clips: &[&Audio]) -> Vec<Array2<f32>> {
        let embed = |clip: &&Audio| {
            let mut samples = (*clip).clone().into_mono(self.sample_rate());
            samples.truncate(LONGEST * self.sample_rate() as usize);
            let vectors = self.vectors(&samples);
            Array2::from_shape_vec((vectors.len() / self.dim, self.dim), vectors).expect("whole vectors")
        };
        clips.iter().map(embed).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{file, sound};

    fn open(variant: Variant, weights: &str) -> Encodec {
        let weights = file(&format!("../models/tests/fixtures/encodec/{weights}"));
        Encodec::open(variant, &weights, &Device::flex()).unwrap()
    }

    #[test]
    fn a_clip_has_the_vectors_that_the_encoder_makes_of_it() {
        let embedder = open(Variant::Khz24, "encodec_24khz.th");
        let nothing = Audio { sample_rate: 24_000, channels: vec![Vec::new()] };
        let clip = sound(24_000, 0.51);
        let vectors = embedder.embed_all(&[&clip, &nothing]);
        // The fixture's frames are of 20 samples.
        assert_eq!([vectors[0].dim(), vectors[1].dim()], [(612, 8), (0, 8)]);
        let samples = clip.mono();
        let input = Tensor::<3>::from_data(TensorData::new(samples.clone(), [1, 1, samples.len()]), &Device::flex());
        let expected = embedder.network.encoder.forward(input).swap_dims(1, 2).flatten(0, 1);
        assert_eq!(vectors[0].iter().copied().collect::<Vec<_>>(), values(expected));
        // Three minutes and no more.
        let long = Audio { sample_rate: 24_000, channels: vec![vec![0.0; 24_000 * 181]] };
        assert_eq!(embedder.embed(&long).nrows(), 180 * 1200);
    }

    #[test]
    fn stereo_is_heard_second_by_second() {
        let embedder = open(Variant::Khz48, "encodec_48khz.th");
        let vectors = embedder.embed(&sound(48_000, 2.25));
        assert_eq!(vectors.dim(), (2400 * 2 + 600, 8));
        // No second knows the others, nor which are beside it.
        let clip = sound(48_000, 2.25).mono();
        for (index, second) in clip.chunks(48_000).enumerate() {
            let alone = embedder.embed(&Audio { sample_rate: 48_000, channels: vec![second.to_vec()] });
            assert_eq!(alone, vectors.slice(ndarray::s![index * 2400..index * 2400 + alone.nrows(), ..]));
        }
    }

    #[test]
    fn another_networks_weights_are_refused() {
        let weights = file("../models/tests/fixtures/encodec/encodec_24khz.th");
        let error = Encodec::open(Variant::Khz32, &weights, &Device::flex()).err().unwrap().to_string();
        assert!(error.contains("sampling rate") && error.contains("24000") && error.contains("32000"), "{error}");
    }

    #[test]
    fn weights_that_are_not_there_are_asked_for() {
        for (variant, name) in [
            (Variant::Khz24, "encodec_24khz"),
            (Variant::Khz48, "encodec_48khz"),
            (Variant::Khz32, "compression_state"),
        ] {
            let error = Encodec::open(variant, Path::new("nowhere"), &Device::flex()).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains("https://") && !error.contains('\n'), "{error}");
        }
    }
}
