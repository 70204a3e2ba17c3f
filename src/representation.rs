//! How a model sees music: `mel/mel_config.json`, and the ways from a model's mel to a picture and to audio.

use ndarray::{Array2, ArrayView2};
use nocturne_vocoder::mel::{
    ImageMel, LOG_RANGE, LogMel, LogMelConfig, MelConfig, MelError, Reference, log_from_unit, pixel_from_unit,
    unit_from_log, unit_from_pixel,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::f64::consts::LN_10;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The diffusers version that our files name: the last whose `Mel` class was not deprecated.
const DIFFUSERS_VERSION: &str = "0.24.0";

/// A mel configuration that cannot be used.
#[derive(Debug, Error)]
pub enum RepresentationError {
    /// The file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a mel configuration.
    #[error("`{path}` is not a mel configuration: `{field}`: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What was found and expected.
        reason: String,
    },
    /// The settings cannot be computed.
    #[error(transparent)]
    Mel(#[from] MelError),
    /// Settings that contradict each other.
    #[error("mel configuration: `{field}` is {found}, expected {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What the rest asks for.
        expected: String,
    },
}

/// Which mel a model works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MelSpecMethod {
    /// The decibel picture of diffusers' `Mel` class.
    #[default]
    Image,
    /// BigVGAN's log-mel, in floats.
    Bigvgan,
}

/// `mel/mel_config.json`: the seven fields of diffusers' `Mel`, and ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepresentationConfig {
    /// The fields of diffusers' `Mel`.
    #[serde(flatten)]
    pub mel: MelConfig,
    /// Which mel; `image` in files that do not say.
    pub mel_spec_method: MelSpecMethod,
    /// The BigVGAN configuration by its published name, with `bigvgan`.
    pub bigvgan_model: Option<String>,
    /// The power that is 0 dB in generated music: a fixed reference, or the median of the training slices' own.
    pub reference_level: Option<f32>,
}

impl RepresentationConfig {
    /// The settings of a BigVGAN configuration, for windows of `frames`.
    pub fn bigvgan(name: &str, frames: usize) -> Result<Self, RepresentationError> {
        let LogMelConfig { sampling_rate, num_mels, n_fft, hop_size, .. } = LogMelConfig::published(name)?;
        let mel = MelConfig {
            x_res: frames,
            y_res: num_mels,
            sample_rate: sampling_rate,
            n_fft,
            hop_length: hop_size,
            ..MelConfig::default()
        };
        Ok(Self {
            mel,
            mel_spec_method: MelSpecMethod::Bigvgan,
            bigvgan_model: Some(name.to_owned()),
            reference_level: None,
        })
    }

    /// Reads a file that we, diffusers or the published scripts wrote.
    pub fn open(path: &Path) -> Result<Self, RepresentationError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RepresentationError::Read { path: path.to_owned(), source })?;
        let mut json = serde_json::Deserializer::from_str(&text);
        let config: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| RepresentationError::Parse {
            path: path.to_owned(),
            field: error.path().to_string(),
            reason: error.inner().to_string(),
        })?;
        config.mel.validate()?;
        Ok(config)
    }

    /// The text of `mel_config.json`; diffusers ignores the fields that it does not know.
    pub fn to_json(&self) -> String {
        let mut value = json!(self);
        value["_class_name"] = "Mel".into();
        value["_diffusers_version"] = DIFFUSERS_VERSION.into();
        format!("{value:#}\n")
    }

    /// Seconds of one window.
    pub fn seconds(&self) -> f64 {
        (self.mel.x_res * self.mel.hop_length) as f64 / f64::from(self.mel.sample_rate)
    }
}

/// The transforms of a [`RepresentationConfig`]. `Sync`: make it once.
pub struct Representation {
    config: RepresentationConfig,
    transform: Transform,
}

enum Transform {
    Image(Box<ImageMel>),
    Log(Box<LogMel>),
}

impl Representation {
    /// Plans the transforms.
    pub fn new(config: &RepresentationConfig) -> Result<Self, RepresentationError> {
        let transform = match config.mel_spec_method {
            MelSpecMethod::Image => Transform::Image(Box::new(ImageMel::new(&config.mel)?)),
            MelSpecMethod::Bigvgan => {
                let name = config.bigvgan_model.as_deref().unwrap_or_default();
                let expected = RepresentationConfig::bigvgan(name, config.mel.x_res)?;
                let fields = |mel: &MelConfig| [mel.y_res, mel.n_fft, mel.hop_length, mel.sample_rate as usize];
                for ((field, found), expected) in ["y_res", "n_fft", "hop_length", "sample_rate"]
                    .into_iter()
                    .zip(fields(&config.mel))
                    .zip(fields(&expected.mel))
                {
                    if found != expected {
                        let expected = format!("{expected} with `{name}`");
                        return Err(RepresentationError::Field { field, found: found.to_string(), expected });
                    }
                }
                Transform::Log(Box::new(LogMel::new(&LogMelConfig::published(name)?)?))
            }
        };
        Ok(Self { config: config.clone(), transform })
    }

    /// What it was made from.
    pub fn config(&self) -> &RepresentationConfig {
        &self.config
    }

    /// BigVGAN's log-mel, where that is what the model works on.
    pub fn log_mel(&self) -> Option<&LogMel> {
        match &self.transform {
            Transform::Image(_) => None,
            Transform::Log(log) => Some(log),
        }
    }

    /// Mel bands and frames of a window.
    pub fn shape(&self) -> [usize; 2] {
        [self.config.mel.y_res, self.config.mel.x_res]
    }

    /// Audio of a mel in the model's scale, by Griffin-Lim.
    ///
    /// `reference_level` is the power of 0 dB, [`RepresentationConfig::reference_level`] or 1 if absent; log-mels carry
    /// their level themselves.
    ///
    /// # Shapes
    /// - `mel`: `[mel, frame]` in −1…1 (clamped)
    /// - output: mono samples at the configuration's rate
    pub fn audio(&self, mel: ArrayView2<f32>, reference_level: Option<f32>, seed: u64) -> Result<Vec<f32>, MelError> {
        match &self.transform {
            Transform::Image(image) => {
                let level = reference_level.or(self.config.reference_level).unwrap_or(1.0);
                image.audio(image.power_from_unit(mel, level).view(), seed)
            }
            Transform::Log(log) => log.audio(mel.mapv(log_from_unit).view(), self.config.mel.n_iter, seed),
        }
    }

    /// The mel of audio as a dataset holds it: a picture's of eight bits, under one reference for all slices.
    ///
    /// # Shapes
    /// - `samples`: mono, at the configuration's rate
    /// - output: `[mel, frame]` in −1…1
    pub fn mel(&self, samples: &[f32], reference_level: Option<f32>) -> Array2<f32> {
        match &self.transform {
            Transform::Image(image) => {
                let level = reference_level.or(self.config.reference_level).unwrap_or(1.0);
                let picture = image.image(samples, Reference::Level(level));
                Array2::from_shape_fn((picture.height, picture.width), |(band, frame)| {
                    unit_from_pixel(picture.pixels[band * picture.width + frame])
                })
            }
            Transform::Log(log) => log.mel(samples).mapv(unit_from_log),
        }
    }

    /// How many decibels a difference of one is in the model's scale.
    pub fn decibels_per_unit(&self) -> f64 {
        match &self.transform {
            Transform::Image(_) => f64::from(self.config.mel.top_db) / 2.0,
            // Of magnitudes, by natural logarithms.
            Transform::Log(_) => f64::from(LOG_RANGE[1] - LOG_RANGE[0]) / 2.0 * 20.0 / LN_10,
        }
    }
}

/// The 8-bit picture of a mel in the model's scale: row 0 is the lowest band.
pub fn picture(mel: ArrayView2<f32>) -> Vec<u8> {
    mel.iter().map(|unit| pixel_from_unit(*unit)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn reopened(text: &str) -> Result<RepresentationConfig, RepresentationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mel_config.json");
        std::fs::write(&path, text).unwrap();
        RepresentationConfig::open(&path)
    }

    #[test]
    fn reads_what_it_writes() {
        let mut config = RepresentationConfig::bigvgan("bigvgan_v2_44khz_128band_512x", 256).unwrap();
        assert_eq!(reopened(&config.to_json()).unwrap(), config);
        config = RepresentationConfig { reference_level: Some(0.5), ..RepresentationConfig::default() };
        assert_eq!(reopened(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn a_published_file_is_an_image_mel() {
        let published = r#"{"_class_name": "Mel", "_diffusers_version": "0.12.0", "x_res": 64, "y_res": 64,
            "sample_rate": 22050, "n_fft": 2048, "hop_length": 1024, "top_db": 80, "n_iter": 32}"#;
        let config = reopened(published).unwrap();
        assert_eq!(config.mel_spec_method, MelSpecMethod::Image);
        assert_eq!(Representation::new(&config).unwrap().shape(), [64, 64]);
        assert!((config.seconds() - 2.972).abs() < 1e-3);
    }

    #[test]
    fn a_mel_of_audio_is_what_the_audio_was_made_of() {
        let image = RepresentationConfig {
            mel: MelConfig { x_res: 16, y_res: 16, hop_length: 256, n_fft: 512, n_iter: 16, ..MelConfig::default() },
            ..RepresentationConfig::default()
        };
        let log = RepresentationConfig::bigvgan("bigvgan_base_22khz_80band", 16).unwrap();
        // Of either, the loudest band of a tone stays the loudest, and its level within a few decibels.
        for (config, decibels) in [(image, 40.0), (log, 59.1201)] {
            let representation = Representation::new(&config).unwrap();
            let [bands, frames] = representation.shape();
            assert!((representation.decibels_per_unit() - decibels).abs() < 1e-3);
            let tone = Array2::from_shape_fn((bands, frames), |(band, _)| if band == bands / 2 { 0.4 } else { -0.9 });
            let audio = representation.audio(tone.view(), Some(1.0), 0).unwrap();
            let mel = representation.mel(&audio, Some(1.0));
            assert_eq!(mel.dim(), (bands, frames));
            let column = mel.column(frames / 2);
            let loudest = (0..bands).max_by(|a, b| column[*a].total_cmp(&column[*b])).unwrap();
            assert_eq!(loudest, bands / 2);
            assert!((f64::from(column[loudest] - 0.4) * decibels).abs() < 6.0, "{}", column[loudest]);
        }
    }

    #[test]
    fn contradictions_name_the_field() {
        let mut config = RepresentationConfig::bigvgan("bigvgan_v2_24khz_100band_256x", 256).unwrap();
        config.mel.y_res = 80;
        let text = Representation::new(&config).err().unwrap().to_string();
        assert!(text.contains("`y_res` is 80") && text.contains("100"), "{text}");
        assert!(reopened(r#"{"hop_length": "many"}"#).is_err());
    }
}
