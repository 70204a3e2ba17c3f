//! The flags that every command takes.

use super::Failure;
use crate::config::Layers;
use clap::Args;
use nocturne_models::device::DeviceChoice;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Where networks run: auto, cpu or cuda:N
    #[arg(long, global = true, default_value_t = DeviceChoice::Auto, value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// One seed, one result
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// An experiment's YAML file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One configuration value; wins over the file
    #[arg(long, global = true, value_name = "KEY.PATH=VALUE")]
    pub set: Vec<String>,
    /// No progress, errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Results as JSON objects, one a line, on standard output
    #[arg(long, global = true)]
    pub json: bool,
}

impl Global {
    /// The configuration: defaults, then `--config`, then `--set`, then what `flags` lays on top.
    pub fn resolve<T: Default + Serialize + DeserializeOwned>(
        &self,
        flags: impl FnOnce(Layers) -> Layers,
    ) -> Result<T, Failure> {
        let mut layers = Layers::default();
        if let Some(path) = &self.config {
            layers = layers.file(path).map_err(Failure::usage)?;
        }
        for text in &self.set {
            layers = layers.assignment(text).map_err(Failure::usage)?;
        }
        flags(layers.flag("seed", self.seed)).resolve().map_err(Failure::usage)
    }
}
