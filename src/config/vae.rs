//! What an experiment's YAML file may say where an autoencoder is trained, and the published description of one.

use super::{ConfigError, DataSettings, Layers};
use crate::train::TrainSettings;
use crate::train::vae::{LossSettings, train_settings};
use nocturne_models::vae::{AutoencoderKlConfig, DdConfig};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One autoencoder: the sections of an experiment, with others for network and loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeExperiment {
    /// The mel dataset.
    pub data: DataSettings,
    /// The autoencoder: the fields of its `config.json`. The default is the published one for mels, of 83.6 million
    /// parameters.
    pub model: AutoencoderKlConfig,
    /// What it is trained for.
    pub loss: LossSettings,
    /// The optimisation.
    pub train: TrainSettings,
    /// Take the first so many examples of the dataset only: all.
    pub max_samples: Option<usize>,
}

impl VaeExperiment {
    /// The defaults: the published ones.
    pub fn published() -> Result<Self, ConfigError> {
        Self::described(DdConfig::default(), 1, LossSettings::default(), train_settings())
    }

    /// The published file of the latent-diffusion code for an autoencoder (`ldm_autoencoder_kl.yaml`).
    pub fn from_latent_diffusion(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let file: LatentDiffusion = serde_saphyr::from_str(&text).map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            ConfigError::NotSections { origin: format!("`{}`", path.display()), reason }
        })?;
        let Model { base_learning_rate, params: Params { embed_dim, ddconfig, lossconfig } } = file.model;
        let mut train = train_settings();
        train.learning_rate = base_learning_rate.unwrap_or(train.learning_rate);
        Self::described(ddconfig, embed_dim, lossconfig.params.settings()?, train)
    }

    fn described(
        network: DdConfig,
        embed_dim: usize,
        loss: LossSettings,
        train: TrainSettings,
    ) -> Result<Self, ConfigError> {
        let model = network.autoencoder(embed_dim).map_err(|error| ConfigError::Invalid {
            key: format!("model.params.{}", error.field),
            reason: format!("found {}, expected {}", error.found, error.expected),
        })?;
        Ok(Self { data: DataSettings::default(), model, loss, train, max_samples: None })
    }

    /// The experiment of `layers` over these defaults. Block types that nobody gave follow the number of levels.
    pub fn overlaid(&self, layers: Layers) -> Result<Self, ConfigError> {
        let mut experiment = layers.resolve(self)?;
        let (model, defaults) = (&mut experiment.model, &self.model);
        if model.block_out_channels.len() != defaults.block_out_channels.len()
            && model.down_block_types == defaults.down_block_types
            && model.up_block_types == defaults.up_block_types
        {
            *model = model.clone().with_channels(model.block_out_channels.clone());
        }
        Ok(experiment)
    }
}

/// The file. What else it says, about data and devices, is ours to say.
#[derive(Deserialize)]
struct LatentDiffusion {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    base_learning_rate: Option<f64>,
    params: Params,
}

#[derive(Deserialize)]
struct Params {
    embed_dim: usize,
    ddconfig: DdConfig,
    lossconfig: LossConfig,
}

#[derive(Deserialize)]
struct LossConfig {
    params: LossParams,
}

/// `LPIPSWithDiscriminator`'s parameters, with its defaults.
#[derive(Deserialize)]
#[serde(default)]
struct LossParams {
    disc_start: u64,
    logvar_init: f64,
    kl_weight: f64,
    disc_num_layers: usize,
    disc_factor: f64,
    disc_weight: f64,
    perceptual_weight: f64,
    use_actnorm: bool,
    disc_conditional: bool,
    disc_loss: String,
}

impl Default for LossParams {
    fn default() -> Self {
        Self {
            disc_start: 0,
            logvar_init: 0.0,
            kl_weight: 1.0,
            disc_num_layers: 3,
            disc_factor: 1.0,
            disc_weight: 1.0,
            perceptual_weight: 1.0,
            use_actnorm: false,
            disc_conditional: false,
            disc_loss: "hinge".to_owned(),
        }
    }
}

impl LossParams {
    fn settings(self) -> Result<LossSettings, ConfigError> {
        let refused = |name: &str, found: String, expected: &str| ConfigError::Invalid {
            key: format!("model.params.lossconfig.params.{name}"),
            reason: format!("found {found}, expected {expected}"),
        };
        if self.disc_loss != "hinge" {
            return Err(refused("disc_loss", self.disc_loss, "hinge"));
        }
        // The published training never moves it from there.
        if self.logvar_init != 0.0 {
            return Err(refused("logvar_init", self.logvar_init.to_string(), "0"));
        }
        for (name, asked) in [("use_actnorm", self.use_actnorm), ("disc_conditional", self.disc_conditional)] {
            if asked {
                return Err(refused(name, "true".to_owned(), "false"));
            }
        }
        Ok(LossSettings {
            kl_weight: self.kl_weight,
            perceptual_weight: self.perceptual_weight,
            disc_start: self.disc_start,
            disc_weight: self.disc_weight,
            disc_factor: self.disc_factor,
            disc_num_layers: self.disc_num_layers,
            ..LossSettings::default()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nocturne_models::network::NetworkConfig;

    /// Laid out as the published file is, in other words and numbers.
    const FILE: &str = "
model:
  base_learning_rate: 1.0e-5
  target: ldm.models.autoencoder.AutoencoderKL
  params:
    monitor: val/rec_loss
    embed_dim: 2
    lossconfig:
      target: ldm.modules.losses.LPIPSWithDiscriminator
      params:
        disc_start: 17
        kl_weight: 0.000002
        disc_weight: 0.25
        disc_in_channels: 1
    ddconfig:
      double_z: true
      z_channels: 2
      resolution: 64
      in_channels: 1
      out_ch: 1
      ch: 32
      ch_mult:
      - 1
      - 2
      num_res_blocks: 1
      attn_resolutions: []
      dropout: 0.0
lightning:
  trainer:
    benchmark: true
";

    fn read(text: &str) -> Result<VaeExperiment, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        VaeExperiment::from_latent_diffusion(file.path())
    }

    #[test]
    fn the_published_file_is_understood() {
        let experiment = read(FILE).unwrap();
        assert_eq!(experiment.model.block_out_channels, [32, 64]);
        assert_eq!((experiment.model.latent_channels, experiment.model.layers_per_block), (2, 1));
        assert_eq!(experiment.train, TrainSettings { learning_rate: 1e-5, ..train_settings() });
        let loss = LossSettings { disc_start: 17, kl_weight: 2e-6, disc_weight: 0.25, ..LossSettings::default() };
        assert_eq!(experiment.loss, loss);
        assert_eq!(VaeExperiment::published().unwrap().model.parameter_count().unwrap(), 83_607_691);
    }

    #[test]
    fn a_file_that_describes_something_else_is_refused_by_key() {
        let refused = |from: &str, to: &str, words: &[&str]| {
            let text = read(&FILE.replace(from, to)).unwrap_err().to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        };
        refused("embed_dim: 2", "embed_dim: 3", &["model.params.embed_dim", "z_channels"]);
        refused("dropout: 0.0", "dropout: 0.5", &["model.params.dropout"]);
        refused("disc_in_channels: 1", "disc_loss: vanilla", &["lossconfig.params.disc_loss", "hinge"]);
        refused("ddconfig", "ddconfg", &["ddconfig"]);
        refused("    embed_dim", "  embed_dim", &["no configuration"]);
        refused("ch_mult:", "ch_mult: 3\n      x:", &["no configuration"]);
    }

    #[test]
    fn block_types_follow_the_number_of_levels() {
        let layers = Layers::default().assignment("model.block_out_channels=[8, 8]").unwrap();
        let experiment = VaeExperiment::published().unwrap().overlaid(layers).unwrap();
        assert_eq!(experiment.model.down_block_types, ["DownEncoderBlock2D"; 2]);
    }
}
