//! What an experiment's YAML file may say, and every default.

use super::{ConfigError, Layers};
use crate::dataset::{Format, MelMethod};
use crate::pipeline::SamplingSettings;
use crate::representation::{MelSpecMethod, RepresentationConfig};
use crate::train::evaluation::EvaluationSettings;
use crate::train::{TrainConfig, TrainSettings};
use nocturne_models::backbone::{BackboneConfig, BackboneKind};
use nocturne_models::diffusion::SchedulerConfig;
use nocturne_models::dit::DiTConfig;
use nocturne_models::unet_condition::UNet2DConditionConfig;
use nocturne_vocoder::mel::{LogMelConfig, MelConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// One experiment, from recordings to new music. Each command uses its sections and ignores the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The mel dataset.
    pub data: DataSettings,
    /// The network: the fields of its `config.json`.
    pub model: BackboneConfig,
    /// The noise schedule: the fields of diffusers' `scheduler_config.json`.
    pub scheduler: SchedulerConfig,
    /// The optimisation.
    pub train: TrainSettings,
    /// Generation, and the samples that training shows.
    pub sampling: SamplingSettings,
    /// What training measures its samples by.
    pub evaluation: EvaluationSettings,
}

impl Default for Experiment {
    fn default() -> Self {
        let TrainConfig { model, scheduler, train, evaluation, .. } = TrainConfig::default();
        let (data, sampling) = (DataSettings::default(), SamplingSettings::default());
        Self { data, model, scheduler, train, sampling, evaluation }
    }
}

/// What the mel dataset is made of, and how. The defaults are the published ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataSettings {
    /// The folder of recordings.
    pub input_dir: Option<PathBuf>,
    /// The mel dataset: what `prepare` writes and `train` reads.
    pub dataset: Option<PathBuf>,
    /// The VAE whose latents the network learns, instead of mels: its folder, or that of a model.
    pub vae: Option<PathBuf>,
    /// The encodings that the network is conditioned on: what `encode` writes, or a published pickle.
    pub encodings: Option<PathBuf>,
    /// Frames and mel bands of a window.
    pub resolution: [usize; 2],
    /// Samples a second.
    pub sample_rate: u32,
    /// Samples between frames.
    pub hop_length: usize,
    /// Samples of one Fourier transform.
    pub n_fft: usize,
    /// Decibels between black and white.
    pub top_db: u32,
    /// Griffin-Lim iterations on the way back.
    pub n_iter: usize,
    /// Which mel.
    pub mel_spec_method: MelSpecMethod,
    /// The published BigVGAN configuration, with `bigvgan`: it fixes bands, rate, hop and transform.
    pub bigvgan_model: String,
    /// The power of 0 dB in all pictures; the maximum of each slice if absent.
    pub reference_level: Option<f32>,
    /// The files of the dataset.
    pub format: Format,
    /// Leave subfolders out.
    pub flat: bool,
}

impl Default for DataSettings {
    fn default() -> Self {
        let MelConfig { hop_length, n_fft, n_iter, sample_rate, top_db, x_res, y_res } = MelConfig::default();
        Self {
            input_dir: None,
            dataset: None,
            vae: None,
            encodings: None,
            resolution: [x_res, y_res],
            sample_rate,
            hop_length,
            n_fft,
            top_db,
            n_iter,
            mel_spec_method: MelSpecMethod::Image,
            bigvgan_model: "bigvgan_v2_44khz_128band_256x".to_owned(),
            reference_level: None,
            format: Format::Arrow,
            flat: false,
        }
    }
}

impl DataSettings {
    /// The same with the mel of a dataset or a model.
    #[must_use]
    pub fn with_mel(&self, config: &RepresentationConfig) -> Self {
        let RepresentationConfig { mel, mel_spec_method, bigvgan_model, reference_level } = config;
        let MelConfig { hop_length, n_fft, n_iter, sample_rate, top_db, x_res, y_res } = *mel;
        Self {
            resolution: [x_res, y_res],
            sample_rate,
            hop_length,
            n_fft,
            top_db,
            n_iter,
            mel_spec_method: *mel_spec_method,
            bigvgan_model: bigvgan_model.clone().unwrap_or_else(|| self.bigvgan_model.clone()),
            reference_level: *reference_level,
            ..self.clone()
        }
    }

    /// Refuses mel bands that the BigVGAN configuration does not have. A square resolution names the frames alone.
    pub fn check_resolution(&self) -> Result<(), ConfigError> {
        let [frames, bands] = self.resolution;
        if self.mel_spec_method == MelSpecMethod::Image || frames == bands {
            return Ok(());
        }
        let invalid = |reason| ConfigError::Invalid { key: "data.resolution".to_owned(), reason };
        let published = LogMelConfig::published(&self.bigvgan_model).map_err(|error| invalid(error.to_string()))?;
        if bands == published.num_mels {
            return Ok(());
        }
        let (name, expected) = (&self.bigvgan_model, published.num_mels);
        Err(invalid(format!("{bands} mel bands, expected the {expected} of {name}")))
    }

    /// What a slice is stored as.
    pub fn method(&self) -> MelMethod {
        let [x_res, y_res] = self.resolution;
        let Self { hop_length, n_fft, n_iter, sample_rate, top_db, reference_level, .. } = *self;
        match self.mel_spec_method {
            MelSpecMethod::Image => MelMethod::Image {
                config: MelConfig { hop_length, n_fft, n_iter, sample_rate, top_db, x_res, y_res },
                reference_level,
            },
            MelSpecMethod::Bigvgan => MelMethod::BigVgan { model: self.bigvgan_model.clone(), frames: x_res },
        }
    }
}

impl Experiment {
    /// The defaults for one kind of network: the published ones, where there are any.
    pub fn of(kind: BackboneKind) -> Self {
        let default = Self::default();
        match kind {
            BackboneKind::UNet2D => default,
            BackboneKind::UNet2DCondition => Self { model: conditional(), ..default },
            BackboneKind::DiT => Self { model: BackboneConfig::DiT(DiTConfig::default()), ..default },
        }
    }

    /// The experiment of `layers`. The kind of network that they name wins over `kind`, and a U-Net with encodings is the
    /// conditional one.
    pub fn resolve(mut layers: Layers, kind: BackboneKind) -> Result<Self, ConfigError> {
        let conditional = layers.get("data.encodings").is_some_and(Value::is_string);
        let kind = match layers.get("model._class_name").and_then(Value::as_str) {
            Some(name) => BackboneKind::named(name).ok_or_else(|| ConfigError::Invalid {
                key: "model._class_name".to_owned(),
                reason: format!("{name:?}, expected {}", BackboneKind::ALL.map(BackboneKind::class_name).join(" or ")),
            })?,
            None if kind == BackboneKind::UNet2D && conditional => BackboneKind::UNet2DCondition,
            None => kind,
        };
        layers.drop_other_kinds("model", "_class_name", BackboneKind::UNet2D.class_name());
        let defaults = Self::of(kind);
        let mut experiment = layers.resolve(&defaults)?;
        follow(&mut experiment.model, &defaults.model);
        Ok(experiment)
    }
}

/// The published conditional U-Net.
fn conditional() -> BackboneConfig {
    let block_out_channels = vec![128, 256, 512, 512];
    let [down_block_types, up_block_types] = conditional_blocks(block_out_channels.len());
    BackboneConfig::UNet2DCondition(UNet2DConditionConfig {
        in_channels: 1,
        out_channels: 1,
        block_out_channels,
        down_block_types,
        up_block_types,
        ..UNet2DConditionConfig::default()
    })
}

/// Where the number of levels is not the default's and the block types still are, gives every level the published pattern.
fn follow(model: &mut BackboneConfig, defaults: &BackboneConfig) {
    match (model, defaults) {
        (BackboneConfig::UNet2D(model), BackboneConfig::UNet2D(defaults)) => {
            let levels = model.block_out_channels.len();
            if levels != defaults.block_out_channels.len()
                && model.down_block_types == defaults.down_block_types
                && model.up_block_types == defaults.up_block_types
            {
                [model.down_block_types, model.up_block_types] = unconditional_blocks(levels);
            }
        }
        (BackboneConfig::UNet2DCondition(model), BackboneConfig::UNet2DCondition(defaults)) => {
            let levels = model.block_out_channels.len();
            if levels != defaults.block_out_channels.len()
                && model.down_block_types == defaults.down_block_types
                && model.up_block_types == defaults.up_block_types
            {
                [model.down_block_types, model.up_block_types] = conditional_blocks(levels);
            }
        }
        _ => {}
    }
}

/// Residual blocks down and up, with attention at the level before the last (at the last, of two).
fn unconditional_blocks(levels: usize) -> [Vec<String>; 2] {
    let attending = levels.saturating_sub(2).max(1);
    blocks(levels, |level| if level == attending { "Attn" } else { "" })
}

/// Cross-attention at every level but the last.
fn conditional_blocks(levels: usize) -> [Vec<String>; 2] {
    blocks(levels, |level| if level + 1 < levels { "CrossAttn" } else { "" })
}

fn blocks(levels: usize, prefix: impl Fn(usize) -> &'static str) -> [Vec<String>; 2] {
    let block = |level: usize, kind: &str| format!("{}{kind}", prefix(level));
    [
        (0..levels).map(|level| block(level, "DownBlock2D")).collect(),
        (0..levels).rev().map(|level| block(level, "UpBlock2D")).collect(),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nocturne_models::network::NetworkConfig;
    use nocturne_models::unet::UNet2DConfig;

    fn unet(assignments: &[&str]) -> UNet2DConfig {
        let layers = assignments.iter().fold(Layers::default(), |layers, text| layers.assignment(text).unwrap());
        match Experiment::resolve(layers, BackboneKind::UNet2D).unwrap().model {
            BackboneConfig::UNet2D(config) => config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn block_types_follow_the_number_of_levels() {
        let types = |channels: &str| {
            let config = unet(&[&format!("model.block_out_channels={channels}")]);
            (config.down_block_types, config.up_block_types)
        };
        assert_eq!(types("[32]"), (vec!["DownBlock2D".to_owned()], vec!["UpBlock2D".to_owned()]));
        assert_eq!(types("[32, 32]").0, ["DownBlock2D", "AttnDownBlock2D"]);
        assert_eq!(types("[32, 32]").1, ["AttnUpBlock2D", "UpBlock2D"]);
        assert_eq!(types("[32, 32, 32, 32]").1, ["UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"]);
        let published = unet(&[]);
        assert_eq!(types("[8, 8, 8, 8, 8, 8]"), (published.down_block_types, published.up_block_types));
    }

    #[test]
    fn block_types_that_were_given_stay() {
        let given =
            ["model.down_block_types=[DownBlock2D, DownBlock2D]", "model.up_block_types=[UpBlock2D, UpBlock2D]"];
        let config = unet(&[given[0], given[1], "model.block_out_channels=[32, 32]"]);
        assert_eq!(config.down_block_types, ["DownBlock2D"; 2]);
    }

    #[test]
    fn encodings_make_a_u_net_conditional() {
        let layers = Layers::default().assignment("data.encodings=e.safetensors").unwrap();
        let BackboneConfig::UNet2DCondition(config) = Experiment::resolve(layers, BackboneKind::UNet2D).unwrap().model
        else {
            panic!("unconditional")
        };
        assert_eq!(config.up_block_types[0], "UpBlock2D");
        assert_eq!(config.up_block_types[1..], ["CrossAttnUpBlock2D"; 3]);
    }

    #[test]
    fn another_kind_of_network_starts_from_its_own_defaults() {
        let layers = Layers::default()
            .built_in("model:\n  block_out_channels: [8, 8]")
            .unwrap()
            .assignment("model._class_name=NocturneDiT")
            .unwrap()
            .assignment("model.num_layers=3")
            .unwrap();
        let model = Experiment::resolve(layers, BackboneKind::UNet2D).unwrap().model;
        assert_eq!(model, BackboneConfig::DiT(DiTConfig { num_layers: 3, ..DiTConfig::default() }));
    }

    #[test]
    fn every_published_experiment_is_one_that_works() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| !file.to_str().unwrap().ends_with("-vocoder.yaml"));
        assert!(files.len() >= 9, "{files:?}");
        for file in files {
            let experiment = Experiment::resolve(Layers::default().file(&file).unwrap(), BackboneKind::UNet2D).unwrap();
            let [frames, bands] = experiment.data.resolution;
            experiment.model.validate().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            experiment.model.check_size([bands, frames]).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            experiment.train.validate().unwrap();
            experiment.scheduler.validate().unwrap();
        }
    }

    #[test]
    fn an_unknown_network_is_refused_by_name() {
        let layers = Layers::default().assignment("model._class_name=UNet3DModel").unwrap();
        let error = Experiment::resolve(layers, BackboneKind::UNet2D).unwrap_err().to_string();
        assert!(error.contains("model._class_name") && error.contains("UNet2DModel"), "{error}");
    }
}
