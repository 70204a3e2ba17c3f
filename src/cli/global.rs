//! The flags that every command takes.

use super::Failure;
use crate::config::{Experiment, Layers};
use crate::memory::keep_freed;
use burn::tensor::Device;
use clap::Args;
use nocturne_models::backbone::BackboneKind;
use nocturne_models::device::DeviceChoice;
use std::path::PathBuf;

const HEADING: &str = "Options of every command";

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Where networks run: auto, cpu or cuda:N
    #[arg(long, global = true, help_heading = HEADING, default_value_t = DeviceChoice::Auto, value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// One seed, one result
    #[arg(long, global = true, help_heading = HEADING, value_name = "N")]
    pub seed: Option<u64>,
    /// An experiment's YAML file
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One configuration value; wins over the file
    #[arg(long, global = true, help_heading = HEADING, value_name = "KEY.PATH=VALUE")]
    pub set: Vec<String>,
    /// No progress, errors only
    #[arg(long, short, global = true, help_heading = HEADING)]
    pub quiet: bool,
    /// Results as JSON objects, one a line, on standard output
    #[arg(long, global = true, help_heading = HEADING)]
    pub json: bool,
}

impl Global {
    /// The device that networks are to run on, and this process made ready for them.
    pub fn open_device(&self) -> Result<Device, Failure> {
        keep_freed();
        self.device.open().map_err(Failure::usage)
    }

    /// The experiment: the defaults for one kind of network, then `--config`, then `--set`, then what `flags` lays on top.
    pub fn resolve(&self, kind: BackboneKind, flags: impl FnOnce(Layers) -> Layers) -> Result<Experiment, Failure> {
        self.resolve_over("", kind, flags)
    }

    /// [`Global::resolve`] with a command's own YAML between the defaults and `--config`.
    pub fn resolve_over(
        &self,
        yaml: &'static str,
        kind: BackboneKind,
        flags: impl FnOnce(Layers) -> Layers,
    ) -> Result<Experiment, Failure> {
        let layers = self.layers(Layers::default().built_in(yaml).map_err(Failure::usage)?)?;
        Experiment::resolve(flags(layers), kind).map_err(Failure::usage)
    }

    /// `--config`, then `--set`, over `layers`.
    pub fn layers(&self, mut layers: Layers) -> Result<Layers, Failure> {
        if let Some(path) = &self.config {
            layers = layers.file(path).map_err(Failure::usage)?;
        }
        for text in &self.set {
            layers = layers.assignment(text).map_err(Failure::usage)?;
        }
        Ok(layers)
    }
}
