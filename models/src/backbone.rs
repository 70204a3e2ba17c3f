//! The networks that denoise, as one type: what a model folder holds and training trains.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::diffusion::{Condition, Network};
use crate::network::{ConfigError, NetworkConfig};
use crate::random::Random;
use crate::unet::{SampleSize, UNet2D, UNet2DConfig};

/// A kind of denoising network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackboneKind {
    /// The unconditional U-Net.
    UNet2D,
}

impl BackboneKind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::UNet2D];

    /// `_class_name` in `config.json`.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::UNet2D => "UNet2DModel",
        }
    }

    /// The kind of a `_class_name`.
    pub fn named(class_name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.class_name() == class_name)
    }

    /// The part of a diffusers pipeline that such a network is: the folder's name.
    pub fn part(self) -> &'static str {
        match self {
            Self::UNet2D => "unet",
        }
    }
}

/// The `config.json` of a denoising network; `_class_name` says of which kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum BackboneConfig {
    /// The unconditional U-Net.
    UNet2D(UNet2DConfig),
}

impl<'de> Deserialize<'de> for BackboneConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn fields<T: DeserializeOwned, E: Error>(value: Value) -> Result<T, E> {
            serde_path_to_error::deserialize(value)
                .map_err(|error| E::custom(format!("{}: {}", error.path(), error.inner())))
        }
        let value = Value::deserialize(deserializer)?;
        let name = value.get("_class_name").and_then(Value::as_str).unwrap_or("UNet2DModel");
        match BackboneKind::named(name) {
            Some(BackboneKind::UNet2D) => fields(value).map(Self::UNet2D),
            None => {
                let known = BackboneKind::ALL.map(BackboneKind::class_name).join(" or ");
                Err(D::Error::custom(format!("_class_name: found {name:?}, expected {known}")))
            }
        }
    }
}

impl From<UNet2DConfig> for BackboneConfig {
    fn from(config: UNet2DConfig) -> Self {
        Self::UNet2D(config)
    }
}

impl BackboneConfig {
    /// Which kind it is.
    pub fn kind(&self) -> BackboneKind {
        match self {
            Self::UNet2D(_) => BackboneKind::UNet2D,
        }
    }

    /// Channels of the input.
    pub fn in_channels(&self) -> usize {
        match self {
            Self::UNet2D(config) => config.in_channels,
        }
    }

    /// Channels of the prediction.
    pub fn out_channels(&self) -> usize {
        match self {
            Self::UNet2D(config) => config.out_channels,
        }
    }

    /// Channels of input and prediction.
    pub fn set_channels(&mut self, channels: usize) {
        match self {
            Self::UNet2D(config) => (config.in_channels, config.out_channels) = (channels, channels),
        }
    }

    /// `[height, width]` of the samples that the network was trained on.
    pub fn sample_size(&self) -> Option<[usize; 2]> {
        match self {
            Self::UNet2D(config) => config.sample_size.map(SampleSize::dims),
        }
    }

    /// See [`BackboneConfig::sample_size`].
    pub fn set_sample_size(&mut self, size: [usize; 2]) {
        match self {
            Self::UNet2D(config) => config.sample_size = Some(SampleSize::Rectangle(size)),
        }
    }

    /// Width of the encodings that the network is conditioned on; none if it knows no condition.
    pub fn condition_width(&self) -> Option<usize> {
        match self {
            Self::UNet2D(_) => None,
        }
    }

    /// Refuses samples of `[height, width]` that the network cannot take.
    ///
    /// # Errors
    ///
    /// Names `sample_size`, and the sizes that work.
    pub fn check_size(&self, size: [usize; 2]) -> Result<(), ConfigError> {
        match self {
            Self::UNet2D(config) => config.check_size(size),
        }
    }
}

impl NetworkConfig for BackboneConfig {
    type Network = Backbone;

    fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::UNet2D(config) => config.validate(),
        }
    }

    fn build(&self, device: &Device) -> Backbone {
        match self {
            Self::UNet2D(config) => Backbone::UNet2D(config.build(device)),
        }
    }

    fn current_name(&self, published: &str) -> Option<String> {
        match self {
            Self::UNet2D(config) => config.current_name(published),
        }
    }

    fn initialise(&self, network: Backbone, random: &mut Random) -> Backbone {
        match (self, network) {
            (Self::UNet2D(config), Backbone::UNet2D(network)) => Backbone::UNet2D(config.initialise(network, random)),
        }
    }
}

/// A denoising network.
#[derive(Module, Debug)]
pub enum Backbone {
    /// The unconditional U-Net.
    UNet2D(UNet2D),
}

impl Network for Backbone {
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, condition: Option<&Condition>) -> Tensor<4> {
        match self {
            Self::UNet2D(network) => Network::forward(network, sample, timesteps, condition),
        }
    }
}
