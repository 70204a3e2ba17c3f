use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::MelError;

/// A published `mel_config.json` has under 300 bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The settings of diffusers' `Mel` class, with the names and defaults of its `mel_config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MelConfig {
    /// Samples between frames.
    pub hop_length: usize,
    /// Samples of one Fourier transform, which is also the length of the Hann window.
    pub n_fft: usize,
    /// Griffin-Lim iterations.
    pub n_iter: usize,
    /// Samples a second, in Hz.
    pub sample_rate: u32,
    /// Decibels between the black and the white of the picture.
    pub top_db: u32,
    /// Frames, the width of the picture.
    pub x_res: usize,
    /// Mel bands, the height of the picture.
    pub y_res: usize,
}

impl Default for MelConfig {
    fn default() -> Self {
        Self { hop_length: 512, n_fft: 2048, n_iter: 32, sample_rate: 22050, top_db: 80, x_res: 256, y_res: 256 }
    }
}

impl MelConfig {
    /// Reads `mel_config.json`, as diffusers and the published training scripts write it. Absent fields have diffusers'
    /// defaults; fields it does not know are ignored.
    pub fn open(path: &Path) -> Result<Self, MelError> {
        let read = |source| MelError::Read { path: path.to_path_buf(), source };
        let mut text = String::new();
        File::open(path).map_err(read)?.take(MAX_CONFIG_BYTES).read_to_string(&mut text).map_err(read)?;
        let config: Self =
            serde_json::from_str(&text).map_err(|source| MelError::Json { path: path.to_path_buf(), source })?;
        config.validate()?;
        Ok(config)
    }

    /// The text of `mel_config.json` as diffusers' `ConfigMixin` writes it.
    pub fn to_json(&self) -> String {
        let Self { hop_length, n_fft, n_iter, sample_rate, top_db, x_res, y_res } = self;
        format!(
            "{{\n  \"_class_name\": \"Mel\",\n  \"_diffusers_version\": \"0.24.0\",\n  \"hop_length\": {hop_length},\n  \
             \"n_fft\": {n_fft},\n  \"n_iter\": {n_iter},\n  \"sample_rate\": {sample_rate},\n  \"top_db\": {top_db},\n  \
             \"x_res\": {x_res},\n  \"y_res\": {y_res}\n}}\n"
        )
    }

    /// Samples of one slice: one short of `x_res * hop_length`, so that it has exactly `x_res` centred frames.
    pub fn slice_size(&self) -> usize {
        self.x_res * self.hop_length - 1
    }

    /// Whether all of it can be computed, in a sane amount of memory.
    pub fn validate(&self) -> Result<(), MelError> {
        let within = |field, found: usize, least: usize, most: usize| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(MelError::Field { field, found: found.to_string(), expected: format!("{least} to {most}") })
        };
        within("hop_length", self.hop_length, 1, 1 << 16)?;
        within("n_fft", self.n_fft, 4, 1 << 17)?;
        within("n_iter", self.n_iter, 0, 100_000)?;
        within("sample_rate", self.sample_rate as usize, 1_000, 768_000)?;
        within("top_db", self.top_db as usize, 1, 200)?;
        within("x_res", self.x_res, 1, 1 << 16)?;
        within("y_res", self.y_res, 1, 1 << 12)?;
        within("x_res * hop_length", self.x_res * self.hop_length, 2, 1 << 27)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn open(text: &str) -> Result<MelConfig, MelError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mel_config.json");
        std::fs::write(&path, text).unwrap();
        MelConfig::open(&path)
    }

    #[test]
    fn reads_what_it_writes() {
        let config = MelConfig { x_res: 64, y_res: 64, hop_length: 1024, n_iter: 256, ..MelConfig::default() };
        assert_eq!(open(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn absent_fields_have_the_published_defaults() {
        let config =
            open(r#"{"_class_name": "Mel", "_diffusers_version": "0.12.0", "x_res": 512, "y_res": 128}"#).unwrap();
        assert_eq!(config, MelConfig { x_res: 512, y_res: 128, ..MelConfig::default() });
    }

    #[test]
    fn slice_sizes_are_the_published_ones() {
        let size = |x_res, hop_length| MelConfig { hop_length, x_res, ..MelConfig::default() }.slice_size();
        assert_eq!([size(256, 512), size(64, 1024), size(1024, 256)], [131_071, 65_535, 262_143]);
    }

    #[test]
    fn nonsense_is_an_error_that_names_the_field() {
        let message = open(r#"{"n_fft": 4000000000}"#).unwrap_err().to_string();
        assert_eq!(message, "mel configuration: n_fft is 4000000000, expected 4 to 131072");
        assert!(open(r#"{"hop_length": 0}"#).is_err());
        assert!(open(r#"{"top_db": "loud"}"#).unwrap_err().to_string().contains("mel_config.json"));
        assert!(open("").is_err());
        assert!(matches!(MelConfig::open(Path::new("nowhere.json")), Err(MelError::Read { .. })));
    }
}
