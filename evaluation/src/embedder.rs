//! What turns sounds into vectors.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ndarray::Array2;
use nocturne_vocoder::audio::Audio;

use crate::WeightsError;
use crate::clap::{Clap, Training, Windows};
use crate::encodec::{Encodec, Variant};
use crate::mert::{self, Mert};
use crate::panns::{Logits, Panns, Rate, Segments};
use crate::pooled_mel::PooledMel;
use crate::vggish::{Profile, Vggish};
use crate::weights::files_of;

/// A way to hear sounds as vectors; made once, used for all clips of a set, from any thread.
pub trait Embedder: Send + Sync {
    /// What its results are filed under. Results under one name compare, others do not.
    fn name(&self) -> &'static str;

    /// Numbers of a vector.
    fn dim(&self) -> usize;

    /// The rate that it hears sounds at, in Hz; clips of other rates are resampled.
    fn sample_rate(&self) -> u32;

    /// The file that its weights are from: with its name, what a cache knows its vectors by.
    fn weights(&self) -> Option<&Path>;

    /// The vectors of several clips, which go through the network together. A clip's are the same alone and in company.
    ///
    /// # Shapes
    /// - output: `[frame, dim]` a clip; no frames of a clip without samples
    fn embed_all(&self, clips: &[&Audio]) -> Vec<Array2<f32>>;

    /// The vectors of one clip.
    ///
    /// # Shapes
    /// - output: `[frame, dim]`
    fn embed(&self, clip: &Audio) -> Array2<f32> {
        self.embed_all(&[clip]).pop().unwrap_or_else(|| Array2::zeros((0, self.dim())))
    }

    /// The vectors of several clips as embedders of these `names` make them, those that this one finds out in one pass, its own
    /// among them.
    ///
    /// # Shapes
    /// - output: a name, as for [`Embedder::embed_all`]
    fn embed_as(&self, names: &[&str], clips: &[&Audio]) -> Vec<Option<Vec<Array2<f32>>>> {
        names.iter().map(|name| (*name == self.name()).then(|| self.embed_all(clips))).collect()
    }

    /// The embedder of another name, where it hears with the network that this one has loaded.
    fn sibling(&self, name: &str) -> Option<Box<dyn Embedder>> {
        let _ = name;
        None
    }
}

/// Those beside MERT's layers.
const NAMES: [&str; 10] = [
    "pooled-mel",
    "vggish",
    "vggish-google",
    "panns-cnn14-16k",
    "panns-cnn14-32k",
    "clap-laion-audio",
    "clap-laion-music",
    "encodec-emb",
    "encodec-emb-48k",
    "encodec-emb-32k",
];

/// Every embedder that sets are compared under by its name. [`open`] also knows what scores are made of:
/// `clap-laion-audio-clip` and `clap-laion-music-clip`, one vector a clip ([`Windows::OfClip`]), and the names of [`Logits`].
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(mert::NAMES)
}

/// Opens an embedder by its name. `weights` is a folder of published files, or the embedder's own file.
///
/// # Errors
///
/// If the name is unknown, or the weights are absent (the message then says where they are published) or not usable.
pub fn open(name: &str, weights: &Path, device: &Device) -> Result<Box<dyn Embedder>, WeightsError> {
    Ok(match Kind::of(name)? {
        Kind::PooledMel => Box::new(PooledMel::new()?),
        Kind::Vggish(profile) => Box::new(Vggish::open(profile, weights, device)?),
        Kind::Panns(rate) => Box::new(Panns::open(rate, weights, device)?),
        Kind::Logits(rate, segments) => Box::new(Logits::new(Panns::open(rate, weights, device)?, segments)),
        Kind::Clap(training, windows) => Box::new(Clap::open(training, windows, weights, device)?),
        Kind::Encodec(variant) => Box::new(Encodec::open(variant, weights, device)?),
        Kind::Mert(layer) => Box::new(Mert::open(layer, weights, device)?),
    })
}

/// The files that an embedder's vectors depend on, that of the weights first: with its name, what a cache knows them by. No
/// file is read.
///
/// # Errors
///
/// If the name is unknown, or the weights are absent (the message then says where they are published).
pub fn files(name: &str, weights: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    match Kind::of(name)? {
        Kind::PooledMel => Ok(Vec::new()),
        Kind::Vggish(profile) => Ok(vec![profile.find(weights)?]),
        Kind::Panns(rate) | Kind::Logits(rate, _) => Ok(vec![rate.find(weights)?]),
        Kind::Clap(training, _) => files_of(&training.find(weights)?),
        Kind::Encodec(variant) => files_of(&variant.find(weights)?),
        Kind::Mert(layer) => files_of(&mert::find(layer, weights)?),
    }
}

/// What a name says.
enum Kind {
    PooledMel,
    Vggish(Profile),
    Panns(Rate),
    Logits(Rate, Segments),
    Clap(Training, Windows),
    Encodec(Variant),
    /// Up to a layer.
    Mert(usize),
}

impl Kind {
    fn of(name: &str) -> Result<Self, WeightsError> {
        if let Some((rate, segments)) = Logits::named(name) {
            return Ok(Self::Logits(rate, segments));
        }
        if let Some(layer) = mert::layer_of(name) {
            return Ok(Self::Mert(layer));
        }
        Ok(match name {
            "pooled-mel" => Self::PooledMel,
            "vggish" => Self::Vggish(Profile::Torchvggish),
            "vggish-google" => Self::Vggish(Profile::Google),
            "panns-cnn14-16k" => Self::Panns(Rate::Khz16),
            "panns-cnn14-32k" => Self::Panns(Rate::Khz32),
            "clap-laion-audio" => Self::Clap(Training::Audio, Windows::EverySecond),
            "clap-laion-music" => Self::Clap(Training::Music, Windows::EverySecond),
            "clap-laion-audio-clip" => Self::Clap(Training::Audio, Windows::OfClip),
            "clap-laion-music-clip" => Self::Clap(Training::Music, Windows::OfClip),
            "encodec-emb" => Self::Encodec(Variant::Khz24),
            "encodec-emb-48k" => Self::Encodec(Variant::Khz48),
            "encodec-emb-32k" => Self::Encodec(Variant::Khz32),
            _ => {
                return Err(WeightsError::Unknown {
                    found: name.to_owned(),
                    expected: names().collect::<Vec<_>>().join(", "),
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_name_is_known_and_asks_for_its_weights() {
        let scores = Logits::NAMES.iter().map(|(name, ..)| *name);
        for name in names().chain(scores).chain(["clap-laion-audio-clip", "clap-laion-music-clip"]) {
            match open(name, Path::new("nowhere"), &Device::flex()) {
                Ok(embedder) => assert_eq!(embedder.name(), name),
                Err(error) => {
                    assert!(error.to_string().contains(" needs "), "{error}");
                    assert_eq!(files(name, Path::new("nowhere")).unwrap_err().to_string(), error.to_string());
                }
            }
        }
        let error = open("vgish", Path::new("nowhere"), &Device::flex()).err().unwrap().to_string();
        assert!(error.contains("\"vgish\"") && error.contains("clap-laion-music"), "{error}");
    }
}
