use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, ArrayView3, s};
use nocturne_models::network::{self, NetworkError};

use super::chunks::Chunks;
use super::{BigVganConfig, Generator};
use crate::mel::MelError;

/// A generator with what it takes to run it on mels of any length.
#[derive(Debug)]
pub struct BigVgan {
    config: BigVganConfig,
    generator: Generator,
    device: Device,
    chunks: Chunks,
}

impl BigVgan {
    /// Opens a folder as it is published: `config.json` beside `bigvgan_generator.pt`, or the same in safetensors.
    ///
    /// # Errors
    ///
    /// Names the file, and in it the field or tensor, that is missing or not as it should be.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, NetworkError> {
        let (config, generator) = network::open::<BigVganConfig>(folder, device)?;
        Ok(Self::new(config, generator, device))
    }

    /// A generator that is at hand, of a valid configuration.
    pub fn new(config: BigVganConfig, generator: Generator, device: &Device) -> Self {
        let chunks = Chunks::new(&config);
        Self { config, generator, device: device.clone(), chunks }
    }

    /// Has mels run in chunks of so many frames, at least one.
    #[must_use]
    pub fn with_chunk_frames(mut self, frames: usize) -> Self {
        self.chunks.frames = frames.max(1);
        self
    }

    /// What the folder says.
    pub fn config(&self) -> &BigVganConfig {
        &self.config
    }

    /// The samples of log-mels of one length, at the configuration's rate. They run in overlapping chunks, so that memory does
    /// not grow with their length; on the CPU one clip after another, on other devices all together.
    ///
    /// # Shapes
    /// - `mels`: `[clip, mel, frame]`, natural logarithms of magnitudes
    /// - output: `[clip, frame · hop_size]`, −1…1
    ///
    /// # Errors
    ///
    /// If the mels have other bands than the configuration, or no frames.
    pub fn audio(&self, mels: ArrayView3<f32>) -> Result<Array2<f32>, MelError> {
        let (clips, bands, frames) = mels.dim();
        let (expected, hop) = (self.config.mel.num_mels, self.config.mel.hop_size);
        if bands != expected || frames == 0 {
            return Err(MelError::Shape {
                what: "a log-mel",
                found: vec![bands, frames],
                expected: format!("{expected} bands and at least one frame"),
            });
        }
        let together = if self.device == Device::flex() { 1 } else { clips.max(1) };
        let mut audio = Array2::zeros((clips, frames * hop));
        for first in (0..clips).step_by(together) {
            let last = clips.min(first + together);
            for chunk in self.chunks.of(frames) {
                let samples = self.chunks.samples(&self.generator, frames, chunk.clone(), |range| {
                    let part = mels.slice(s![first..last, .., range]);
                    let shape: [usize; 3] = part.dim().into();
                    Tensor::from_data(TensorData::new(part.iter().copied().collect(), shape), &self.device)
                });
                let mut room = audio.slice_mut(s![first..last, chunk.start * hop..chunk.end * hop]);
                for (sample, value) in room.iter_mut().zip(samples.into_data().iter::<f32>()) {
                    *sample = value;
                }
            }
        }
        Ok(audio)
    }
}
