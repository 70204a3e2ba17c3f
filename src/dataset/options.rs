use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use nocturne_vocoder::mel::{LogMelConfig, MelConfig};
use serde::{Deserialize, Serialize};

use super::DatasetError;
use super::features::Content;
use crate::representation::{MelSpecMethod, RepresentationConfig};

/// The shard size of `datasets`: 500 MB.
pub const MAX_SHARD_BYTES: u64 = 500_000_000;

/// What [`super::prepare`] makes, and of what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrepareOptions {
    /// The folder of recordings.
    pub input_dir: PathBuf,
    /// Where the dataset goes. Not part of the job's identity, so that an interrupted job may be moved.
    #[serde(skip)]
    pub output_dir: PathBuf,
    /// What a slice is stored as.
    pub method: MelMethod,
    /// The files of the dataset.
    pub format: Format,
    /// Whether subfolders are left out.
    pub flat: bool,
    /// Which part of the files is done; all where absent.
    pub shard: Option<Shard>,
    /// A data file does not grow over this, unless by one single batch.
    pub max_shard_bytes: u64,
    /// Whether a dataset that is there already is replaced.
    #[serde(skip)]
    pub overwrite: bool,
    /// How many threads work; 0 is one for each core. The result does not depend on it.
    #[serde(skip)]
    pub threads: usize,
}

impl PrepareOptions {
    /// Everything published, of all files below a folder.
    pub fn new(input_dir: impl Into<PathBuf>, output_dir: impl Into<PathBuf>, method: MelMethod) -> Self {
        Self {
            input_dir: input_dir.into(),
            output_dir: output_dir.into(),
            method,
            format: Format::Arrow,
            flat: false,
            shard: None,
            max_shard_bytes: MAX_SHARD_BYTES,
            overwrite: false,
            threads: 0,
        }
    }
}

/// What a slice of a recording is stored as (`--mel-spec-method`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mel_spec_method", rename_all = "lowercase")]
pub enum MelMethod {
    /// 8-bit pictures of a power mel in decibels, as diffusers' `Mel` class draws them.
    Image {
        /// The settings of `mel_config.json`.
        config: MelConfig,
        /// The power that is 0 dB in every picture; the maximum of each slice where absent, as published.
        reference_level: Option<f32>,
    },
    /// The float log-mel of a BigVGAN configuration.
    BigVgan {
        /// The published name of the configuration.
        model: String,
        /// Frames of a slice.
        frames: usize,
    },
}

impl MelMethod {
    /// What the rows of the dataset hold. An error where the settings cannot work.
    pub fn content(&self) -> Result<Content, DatasetError> {
        let option =
            |option, found: String, expected: &str| DatasetError::Option { option, found, expected: expected.into() };
        match self {
            Self::Image { config, reference_level } => {
                config.validate()?;
                if let Some(level) = reference_level.filter(|level| !(level.is_finite() && *level > 0.0)) {
                    return Err(option("reference-level", level.to_string(), "a power above 0"));
                }
                Ok(Content::Image)
            }
            Self::BigVgan { model, frames } => {
                let LogMelConfig { num_mels, .. } = LogMelConfig::published(model)?;
                if !(1..=1 << 16).contains(frames) {
                    return Err(option("resolution", frames.to_string(), "1 to 65536 frames"));
                }
                Ok(Content::LogMel { bands: num_mels, frames: *frames })
            }
        }
    }
}

impl MelMethod {
    /// The same as `mel/mel_config.json` has it.
    pub fn representation(&self) -> Result<RepresentationConfig, DatasetError> {
        Ok(match self {
            Self::Image { config, reference_level } => RepresentationConfig {
                mel: *config,
                reference_level: *reference_level,
                ..RepresentationConfig::default()
            },
            Self::BigVgan { model, frames } => RepresentationConfig::bigvgan(model, *frames)?,
        })
    }
}

impl From<RepresentationConfig> for MelMethod {
    fn from(config: RepresentationConfig) -> Self {
        let RepresentationConfig { mel, mel_spec_method, bigvgan_model, reference_level } = config;
        match mel_spec_method {
            MelSpecMethod::Image => Self::Image { config: mel, reference_level },
            MelSpecMethod::Bigvgan => Self::BigVgan { model: bigvgan_model.unwrap_or_default(), frames: mel.x_res },
        }
    }
}

/// The files of a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `DatasetDict.save_to_disk` of `datasets`: `train/data-*.arrow`.
    #[default]
    Arrow,
    /// `data/train-*.parquet`, as datasets lie on the hub.
    Parquet,
}

impl FromStr for Format {
    type Err = DatasetError;

    fn from_str(text: &str) -> Result<Self, DatasetError> {
        match text {
            "arrow" => Ok(Self::Arrow),
            "parquet" => Ok(Self::Parquet),
            _ => {
                Err(DatasetError::Option { option: "format", found: text.into(), expected: "arrow or parquet".into() })
            }
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        })
    }
}

/// One N-th of the sorted files: a contiguous range, so that shards 1 to N one after the other are the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl Shard {
    /// The range of this shard among `files` files.
    pub fn range(self, files: usize) -> std::ops::Range<usize> {
        let bound = |index: usize| (files as u128 * index as u128 / self.count as u128) as usize;
        bound(self.index - 1)..bound(self.index)
    }
}

impl FromStr for Shard {
    type Err = DatasetError;

    fn from_str(text: &str) -> Result<Self, DatasetError> {
        let parsed = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parsed {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err(DatasetError::Option {
                option: "shard",
                found: text.to_string(),
                expected: "I/N with I from 1 to N, as in 1/4".to_string(),
            }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn shards_are_contiguous_and_whole() {
        for (files, count) in [(10, 3), (2, 5), (0, 2), (7, 7), (1000, 1)] {
            let mut next = 0;
            for index in 1..=count {
                let range = Shard { index, count }.range(files);
                assert_eq!(range.start, next);
                next = range.end;
            }
            assert_eq!(next, files);
        }
    }

    #[test]
    fn shards_count_from_one() {
        assert_eq!("2/4".parse::<Shard>().unwrap(), Shard { index: 2, count: 4 });
        for wrong in ["0/4", "5/4", "1", "1/0", "a/b", "-1/2"] {
            let message = wrong.parse::<Shard>().unwrap_err().to_string();
            assert_eq!(message, format!("shard is {wrong}, expected I/N with I from 1 to N, as in 1/4"));
        }
    }

    #[test]
    fn impossible_settings_name_their_option() {
        let image = |level| MelMethod::Image { config: MelConfig::default(), reference_level: Some(level) };
        assert!(image(f32::NAN).content().unwrap_err().to_string().starts_with("reference-level is NaN"));
        assert_eq!(image(1.0).content().unwrap(), Content::Image);
        let bigvgan = |model: &str, frames| MelMethod::BigVgan { model: model.to_string(), frames };
        assert!(bigvgan("bigvgan_9", 64).content().unwrap_err().to_string().contains("bigvgan_9"));
        assert!(bigvgan("bigvgan_24khz_100band", 0).content().is_err());
    }
}
