//! What all networks have in common: a configuration with the fields of a published `config.json`, and a folder that holds
//! it beside the weights.

mod attention_names;
mod config_error;
mod folder;

use burn::module::Module;
use burn::tensor::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::initialise::torch_default;
use crate::random::Random;

pub(crate) use attention_names::current_attention_name;
pub use config_error::{ConfigError, check, one_of};
pub use folder::{NetworkError, open, open_as, read_config, save};

/// A network's published configuration, and what can be made from it.
pub trait NetworkConfig: Serialize + DeserializeOwned {
    /// The network.
    type Network: Module;

    /// The file of the weights in a saved folder.
    const WEIGHTS: &'static str = "diffusion_pytorch_model.safetensors";

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// The first field with a value that is unknown, not supported here, or at odds with another.
    fn validate(&self) -> Result<(), ConfigError>;

    /// The network of a valid configuration without values: they are to be filled in.
    fn build(&self, device: &Device) -> Self::Network;

    /// What this crate calls a published tensor, where older versions or other libraries have another name; `None` leaves
    /// the tensor out.
    fn current_name(&self, published: &str) -> Option<String> {
        Some(published.to_owned())
    }

    /// Gives a network without values those that training starts with: PyTorch's, see [`torch_default`].
    fn initialise(&self, network: Self::Network, random: &mut Random) -> Self::Network {
        torch_default(network, random)
    }

    /// A fresh network, its values drawn on the host.
    ///
    /// # Errors
    ///
    /// See [`NetworkConfig::validate`].
    fn init(&self, device: &Device, random: &mut Random) -> Result<Self::Network, ConfigError> {
        self.validate()?;
        Ok(self.initialise(self.build(device), random))
    }

    /// How many numbers the network has. Allocates none of them.
    ///
    /// # Errors
    ///
    /// See [`NetworkConfig::validate`].
    fn parameter_count(&self) -> Result<usize, ConfigError> {
        self.validate()?;
        Ok(self.build(&Device::flex()).num_params())
    }

    /// The network of a valid configuration with the weights of `from`.
    ///
    /// # Errors
    ///
    /// If the weights are not those of this network: see [`checkpoint::load`].
    fn load(&self, from: Checkpoint, device: &Device) -> Result<Self::Network, CheckpointError> {
        self.fill(self.build(device), from)
    }

    /// A network without values, as it was built, with the weights of `from`.
    ///
    /// # Errors
    ///
    /// As [`NetworkConfig::load`].
    fn fill(&self, network: Self::Network, from: Checkpoint) -> Result<Self::Network, CheckpointError> {
        checkpoint::load(network, &from.rename(|name| self.current_name(name))?)
    }
}
