//! The networks that denoise, as one type: what a model folder holds and training trains.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::diffusion::{Condition, Network};
use crate::dit::{DiT, DiTConfig};
use crate::network::{ConfigError, NetworkConfig};
use crate::random::Random;
use crate::unet::{SampleSize, UNet2D, UNet2DConfig};
use crate::unet_condition::{PerLevel, UNet2DCondition, UNet2DConditionConfig};

/// The same for whichever network it is.
macro_rules! each {
    ($this:expr, $one:ident => $answer:expr) => {
        match $this {
            Self::UNet2D($one) => $answer,
            Self::UNet2DCondition($one) => $answer,
            Self::DiT($one) => $answer,
        }
    };
}

/// A kind of denoising network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackboneKind {
    /// The unconditional U-Net.
    UNet2D,
    /// The U-Net that is conditioned on encodings.
    UNet2DCondition,
    /// The diffusion transformer, conditioned or not.
    DiT,
}

impl BackboneKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::UNet2D, Self::UNet2DCondition, Self::DiT];

    /// `_class_name` in `config.json`.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::UNet2D => "UNet2DModel",
            Self::UNet2DCondition => "UNet2DConditionModel",
            Self::DiT => "NocturneDiT",
        }
    }

    /// The kind of a `_class_name`.
    pub fn named(class_name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.class_name() == class_name)
    }

    /// The part of a diffusers pipeline that such a network is: the folder's name.
    pub fn part(self) -> &'static str {
        match self {
            Self::UNet2D | Self::UNet2DCondition => "unet",
            Self::DiT => "transformer",
        }
    }
}

/// The `config.json` of a denoising network; `_class_name` says of which kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
// There is one of them in a process, or two.
#[allow(clippy::large_enum_variant)]
pub enum BackboneConfig {
    /// The unconditional U-Net.
    UNet2D(UNet2DConfig),
    /// The U-Net that is conditioned on encodings.
    UNet2DCondition(UNet2DConditionConfig),
    /// The diffusion transformer, conditioned or not.
    DiT(DiTConfig),
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
            Some(BackboneKind::UNet2DCondition) => fields(value).map(Self::UNet2DCondition),
            Some(BackboneKind::DiT) => fields(value).map(Self::DiT),
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
            Self::UNet2DCondition(_) => BackboneKind::UNet2DCondition,
            Self::DiT(_) => BackboneKind::DiT,
        }
    }

    /// Channels of the input.
    pub fn in_channels(&self) -> usize {
        each!(self, config => config.in_channels)
    }

    /// Channels of the prediction.
    pub fn out_channels(&self) -> usize {
        each!(self, config => config.out_channels)
    }

    /// Sets the channels of input and prediction.
    pub fn set_channels(&mut self, channels: usize) {
        each!(self, config => (config.in_channels, config.out_channels) = (channels, channels));
    }

    /// `[height, width]` of the samples that the network was trained on.
    pub fn sample_size(&self) -> Option<[usize; 2]> {
        each!(self, config => config.sample_size.map(SampleSize::dims))
    }

    /// See [`BackboneConfig::sample_size`].
    pub fn set_sample_size(&mut self, size: [usize; 2]) {
        each!(self, config => config.sample_size = Some(SampleSize::Rectangle(size)));
    }

    /// Width of the encodings that the network is conditioned on; none if it knows no condition.
    pub fn condition_width(&self) -> Option<usize> {
        match self {
            Self::UNet2D(_) => None,
            Self::UNet2DCondition(config) => Some(config.condition_width()),
            Self::DiT(config) => config.cross_attention_dim,
        }
    }

    /// Sets the width of the encodings, where the network can be conditioned.
    pub fn set_condition_width(&mut self, width: usize) {
        match self {
            Self::UNet2D(_) => {}
            Self::UNet2DCondition(config) => match &mut config.encoder_hid_dim {
                Some(projected) => *projected = width,
                None => config.cross_attention_dim = PerLevel::One(width),
            },
            Self::DiT(config) => config.cross_attention_dim = Some(width),
        }
    }

    /// Refuses samples of `[height, width]` that the network cannot take.
    ///
    /// # Errors
    ///
    /// Names `sample_size`, and the sizes that work.
    pub fn check_size(&self, size: [usize; 2]) -> Result<(), ConfigError> {
        each!(self, config => config.check_size(size))
    }
}

impl NetworkConfig for BackboneConfig {
    type Network = Backbone;

    fn validate(&self) -> Result<(), ConfigError> {
        each!(self, config => config.validate())
    }

    fn build(&self, device: &Device) -> Backbone {
        match self {
            Self::UNet2D(config) => Backbone::UNet2D(config.build(device)),
            Self::UNet2DCondition(config) => Backbone::UNet2DCondition(config.build(device)),
            Self::DiT(config) => Backbone::DiT(config.build(device)),
        }
    }

    fn current_name(&self, published: &str) -> Option<String> {
        each!(self, config => config.current_name(published))
    }

    /// # Panics
    ///
    /// If the network is not of this configuration's kind.
    fn initialise(&self, network: Backbone, random: &mut Random) -> Backbone {
        match (self, network) {
            (Self::UNet2D(config), Backbone::UNet2D(network)) => Backbone::UNet2D(config.initialise(network, random)),
            (Self::UNet2DCondition(config), Backbone::UNet2DCondition(network)) => {
                Backbone::UNet2DCondition(config.initialise(network, random))
            }
            (Self::DiT(config), Backbone::DiT(network)) => Backbone::DiT(config.initialise(network, random)),
            (config, _) => panic!("a network that is no {}", config.kind().class_name()),
        }
    }
}

/// A denoising network.
#[derive(Module, Debug)]
// There is one of them in a process, or two.
#[allow(clippy::large_enum_variant)]
pub enum Backbone {
    /// The unconditional U-Net.
    UNet2D(UNet2D),
    /// The U-Net that is conditioned on encodings.
    UNet2DCondition(UNet2DCondition),
    /// The diffusion transformer, conditioned or not.
    DiT(DiT),
}

impl Backbone {
    /// The same, with or without gradient checkpointing: backward makes activations again, block by block, instead of
    /// finding them kept. Without autodiff it changes nothing.
    #[must_use]
    pub fn gradient_checkpointing(self, on: bool) -> Self {
        match self {
            Self::UNet2D(network) => Self::UNet2D(network.gradient_checkpointing(on)),
            Self::UNet2DCondition(network) => Self::UNet2DCondition(network.gradient_checkpointing(on)),
            Self::DiT(network) => Self::DiT(network.gradient_checkpointing(on)),
        }
    }
}

impl Network for Backbone {
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, condition: Option<&Condition>) -> Tensor<4> {
        each!(self, network => Network::forward(network, sample, timesteps, condition))
    }
}
