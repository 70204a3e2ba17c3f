//! What turns sounds into vectors.

use std::path::Path;

use burn::tensor::Device;
use ndarray::Array2;
use nocturne_vocoder::audio::Audio;

use crate::WeightsError;
use crate::clap::{Clap, Training, Windows};
use crate::encodec::{Encodec, Variant};
use crate::mert::{self, Mert};
use crate::panns::{Panns, Rate};
use crate::pooled_mel::PooledMel;
use crate::vggish::{Profile, Vggish};

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
}

/// Every embedder by its name, in the order of what it needs.
pub const NAMES: [&str; 22] = [
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
    "MERT-v1-95M",
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
];

/// Opens an embedder by its name. `weights` is a folder of published files, or the embedder's own file.
///
/// # Errors
///
/// If the name is unknown, or the weights are absent (the message then says where they are published) or not usable.
pub fn open(name: &str, weights: &Path, device: &Device) -> Result<Box<dyn Embedder>, WeightsError> {
    let panns = |rate| Panns::open(rate, weights, device);
    let vggish = |profile| Vggish::open(profile, weights, device);
    let clap = |training| Clap::open(training, Windows::EverySecond, weights, device);
    let encodec = |variant| Encodec::open(variant, weights, device);
    if let Some(layer) = mert::layer_of(name) {
        return Ok(Box::new(Mert::open(layer, weights, device)?));
    }
    Ok(match name {
        "pooled-mel" => Box::new(PooledMel::new()?),
        "vggish" => Box::new(vggish(Profile::Torchvggish)?),
        "vggish-google" => Box::new(vggish(Profile::Google)?),
        "panns-cnn14-16k" => Box::new(panns(Rate::Khz16)?),
        "panns-cnn14-32k" => Box::new(panns(Rate::Khz32)?),
        "clap-laion-audio" => Box::new(clap(Training::Audio)?),
        "clap-laion-music" => Box::new(clap(Training::Music)?),
        "encodec-emb" => Box::new(encodec(Variant::Khz24)?),
        "encodec-emb-48k" => Box::new(encodec(Variant::Khz48)?),
        "encodec-emb-32k" => Box::new(encodec(Variant::Khz32)?),
        _ => return Err(WeightsError::Unknown { found: name.to_owned(), expected: NAMES.join(", ") }),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_name_is_known_and_asks_for_its_weights() {
        for name in NAMES {
            match open(name, Path::new("nowhere"), &Device::flex()) {
                Ok(embedder) => assert_eq!(embedder.name(), name),
                Err(error) => assert!(error.to_string().starts_with(&format!("{name} needs ")), "{error}"),
            }
        }
        let error = open("vgish", Path::new("nowhere"), &Device::flex()).err().unwrap().to_string();
        assert!(error.contains("\"vgish\"") && error.contains("clap-laion-music"), "{error}");
    }
}
