use std::path::Path;

use burn::module::Module;
use burn::nn::{Linear, Relu};
use burn::tensor::{Device, Tensor};

use super::checkpoint::{config_of, described, open_audio};
use super::projection::{projected, projection};
use super::{ClapAudioConfig, ClapConfig, Htsat};
use crate::checkpoint;
use crate::network::NetworkError;

/// The audio branch and its way to the common space.
#[derive(Module, Debug)]
pub struct ClapAudio {
    /// The encoder.
    pub audio_branch: Htsat,
    /// To the common space.
    pub audio_projection: (Linear, Relu, Linear),
}

impl ClapAudio {
    /// From a file of LAION's training, which tells the sizes by its tensors, or from a folder of transformers' `ClapModel`
    /// with its `config.json`. The text branch is not read.
    ///
    /// # Errors
    ///
    /// Names the file, and in it the field or tensor, that is missing or not as it should be.
    pub fn open(path: &Path, device: &Device) -> Result<(ClapAudioConfig, Self), NetworkError> {
        let (file, described) = described(path)?;
        let weights = open_audio(path)?;
        let config = described.unwrap_or_else(|| config_of(&weights));
        let validated = config.validate_common().and_then(|()| config.audio_config.validate());
        validated.map_err(|source| NetworkError::Config { file, source })?;
        let network = checkpoint::load(Self::new(&config, device), &weights)?;
        Ok((config.audio_config, network))
    }

    /// The network of a valid configuration without values.
    pub fn new(config: &ClapConfig, device: &Device) -> Self {
        let audio = &config.audio_config;
        Self {
            audio_branch: Htsat::new(audio, device),
            audio_projection: projection(audio.hidden_size, config.projection_dim, device),
        }
    }

    /// Numbers of a vector.
    pub fn dim(&self) -> usize {
        self.audio_projection.2.weight.dims()[1]
    }

    /// Vectors of length 1.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, frame, mel]`: log-mels in dB, the lowest band first; ten seconds are 1001 frames → `[batch, dim]`
    ///
    /// # Panics
    ///
    /// As [`Htsat::forward`].
    pub fn forward(&self, mel: Tensor<4>) -> Tensor<2> {
        projected(&self.audio_projection, self.audio_branch.forward(mel))
    }
}
