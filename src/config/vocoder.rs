//! What an experiment's YAML file may say where a vocoder is trained, and the published descriptions of one.

use super::{ConfigError, Layers};
use crate::train::TrainSettings;
use crate::train::vocoder::{VocoderConfig, VocoderSettings, train_settings};
use nocturne_vocoder::adversaries::AdversariesConfig;
use nocturne_vocoder::bigvgan::BigVganConfig;
use nocturne_vocoder::mel::MelError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The configuration that training starts from where none is named.
pub const DEFAULT_VOCODER: &str = "bigvgan_v2_22khz_80band_256x";

/// One vocoder. The first three sections together are its published `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VocoderExperiment {
    /// The recordings.
    pub data: RecordingSettings,
    /// The generator.
    pub model: BigVganConfig,
    /// The discriminators.
    pub adversaries: AdversariesConfig,
    /// What it is trained for.
    pub vocoder: VocoderSettings,
    /// The optimisation.
    pub train: TrainSettings,
}

/// Where the recordings are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordingSettings {
    /// A folder of recordings.
    pub input_dir: Option<PathBuf>,
    /// A mel dataset, which names the recordings that it was made of.
    pub dataset: Option<PathBuf>,
}

/// The optimisation in a published `config.json`, with what the published script takes for fields that are absent.
#[derive(Deserialize)]
struct Optimisation {
    batch_size: Option<usize>,
    learning_rate: Option<f64>,
    adam_b1: Option<f64>,
    adam_b2: Option<f64>,
    lr_decay: Option<f64>,
    segment_size: Option<usize>,
    #[serde(default = "first_clip")]
    clip_grad_norm: f64,
    #[serde(default)]
    use_multiscale_melloss: bool,
    #[serde(default = "first_lambda")]
    lambda_melloss: f64,
    fmax_for_loss: Option<f64>,
}

fn first_clip() -> f64 {
    1000.0
}

fn first_lambda() -> f64 {
    45.0
}

impl VocoderExperiment {
    /// One of the nine published configurations, with or without `nvidia/` before its name.
    ///
    /// # Errors
    ///
    /// Lists the known names.
    pub fn published(name: &str) -> Result<Self, MelError> {
        let model = BigVganConfig::published(name)?;
        let rate = model.mel.sampling_rate;
        let mut train = train_settings();
        let second = name.contains("_v2_");
        let (adversaries, vocoder) = if second {
            (AdversariesConfig::second(rate), VocoderSettings::default())
        } else {
            (train.train_batch_size, train.max_grad_norm) = (32, Some(first_clip()));
            let vocoder = VocoderSettings {
                segment_size: 8192,
                use_multiscale_melloss: false,
                lambda_melloss: first_lambda(),
                ..VocoderSettings::default()
            };
            (AdversariesConfig { sampling_rate: rate, ..AdversariesConfig::default() }, vocoder)
        };
        Ok(Self { data: RecordingSettings::default(), model, adversaries, vocoder, train })
    }

    /// The description in a published `config.json`, or in one of our own.
    pub fn of_config_json(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let origin = || format!("`{}`", path.display());
        let no_config = |reason: String| ConfigError::NotSections { origin: origin(), reason };
        let value: Value = serde_json::from_slice(&text).map_err(|error| no_config(error.to_string()))?;
        let read = || -> Result<Self, serde_json::Error> {
            let found: Optimisation = part(&value)?;
            let (train, vocoder) = (train_settings(), VocoderSettings::default());
            Ok(Self {
                data: RecordingSettings::default(),
                model: part(&value)?,
                adversaries: part(&value)?,
                vocoder: VocoderSettings {
                    segment_size: found.segment_size.unwrap_or(vocoder.segment_size),
                    lr_decay: found.lr_decay.unwrap_or(vocoder.lr_decay),
                    use_multiscale_melloss: found.use_multiscale_melloss,
                    lambda_melloss: found.lambda_melloss,
                    fmax_for_loss: found.fmax_for_loss,
                    ..vocoder
                },
                train: TrainSettings {
                    train_batch_size: found.batch_size.unwrap_or(train.train_batch_size),
                    learning_rate: found.learning_rate.unwrap_or(train.learning_rate),
                    adam_beta1: found.adam_b1.unwrap_or(train.adam_beta1),
                    adam_beta2: found.adam_b2.unwrap_or(train.adam_beta2),
                    max_grad_norm: Some(found.clip_grad_norm),
                    ..train
                },
            })
        };
        read().map_err(|error| no_config(error.to_string()))
    }

    /// The experiment of `layers` over these defaults.
    pub fn overlaid(&self, layers: Layers) -> Result<Self, ConfigError> {
        let mut experiment = layers.resolve(self)?;
        // One rate for both sides.
        experiment.adversaries.sampling_rate = experiment.model.mel.sampling_rate;
        Ok(experiment)
    }

    /// What a run on `recordings` depends on.
    pub fn training(&self, recordings: PathBuf) -> VocoderConfig {
        VocoderConfig {
            model: self.model.clone(),
            adversaries: self.adversaries.clone(),
            vocoder: self.vocoder.clone(),
            train: self.train.clone(),
            recordings,
        }
    }

    /// The published `config.json`: generator, discriminators and optimisation on one level.
    pub fn config_json(&self) -> Value {
        let mut fields = Map::new();
        for section in [json!(self.model), json!(self.adversaries), json!(self.vocoder)] {
            fields.extend(section.as_object().cloned().unwrap_or_default());
        }
        // The published script takes it for a number wherever it is there.
        if fields.get("mrd_channel_mult").is_some_and(Value::is_null) {
            fields.remove("mrd_channel_mult");
        }
        let train = &self.train;
        fields.extend([
            ("batch_size".to_owned(), json!(train.train_batch_size)),
            ("learning_rate".to_owned(), json!(train.learning_rate)),
            ("adam_b1".to_owned(), json!(train.adam_beta1)),
            ("adam_b2".to_owned(), json!(train.adam_beta2)),
            ("clip_grad_norm".to_owned(), json!(train.max_grad_norm.unwrap_or(f64::MAX))),
            ("seed".to_owned(), json!(train.seed)),
            ("num_freq".to_owned(), json!(self.model.mel.n_fft / 2 + 1)),
            ("win_size".to_owned(), json!(self.model.mel.n_fft)),
            ("num_gpus".to_owned(), json!(0)),
        ]);
        Value::Object(fields)
    }
}

fn part<T: DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Experiment, Layers};
    use nocturne_models::backbone::BackboneKind;
    use nocturne_vocoder::mel::LogMelConfig;

    #[test]
    fn the_small_vocoder_is_for_the_mels_of_quickstart() {
        let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name);
        let resolve = |name: &str| Layers::default().file(&file(name)).unwrap();
        let small: VocoderExperiment = resolve("quickstart-vocoder.yaml")
            .resolve(&VocoderExperiment::published(DEFAULT_VOCODER).unwrap())
            .unwrap();
        small.training(PathBuf::new()).validate().unwrap();
        let quickstart = Experiment::resolve(resolve("quickstart.yaml"), BackboneKind::UNet2D).unwrap();
        let (mel, data) = (&small.model.mel, &quickstart.data);
        assert_eq!([mel.num_mels, mel.n_fft, mel.hop_size], [data.resolution[1], data.n_fft, data.hop_length]);
        assert_eq!(mel.sampling_rate, data.sample_rate);
    }

    #[test]
    fn published_configurations_can_be_trained() {
        for name in LogMelConfig::names() {
            let experiment = VocoderExperiment::published(name).unwrap();
            experiment.training(PathBuf::new()).validate().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("config.json");
            std::fs::write(&path, experiment.config_json().to_string()).unwrap();
            assert_eq!(VocoderExperiment::of_config_json(&path).unwrap(), experiment, "{name}");
        }
        assert!(VocoderExperiment::published("bigvgan_v3").is_err());
    }
}
