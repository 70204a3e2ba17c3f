//! A mel dataset as training sees it.

use crate::dataset::{Dataset, DatasetError, MelMethod};
use crate::representation::{MelSpecMethod, RepresentationConfig, RepresentationError};
use crate::train::TrainError;
use crate::train::batches::Examples;
use nocturne_models::random::Random;
use nocturne_vocoder::mel::MelConfig;

/// How many examples are asked for their level.
const LEVEL_SAMPLES: usize = 512;

/// The examples of a dataset and the recordings they were cut from.
pub struct Mels {
    dataset: Dataset,
    names: Vec<String>,
    name_of: Vec<u32>,
}

impl Mels {
    /// Reads the names of all recordings; the mels stay on disk.
    pub fn new(dataset: Dataset) -> Result<Self, DatasetError> {
        let (names, name_of) = dataset.audio_files()?;
        Ok(Self { dataset, names, name_of })
    }

    /// The dataset.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The names of the recordings, each once.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Which of [`Mels::names`] an example was cut from.
    pub fn name_of(&self, index: usize) -> usize {
        self.name_of[index] as usize
    }

    /// How the mels were made: what the dataset says, or `assumed` with the dataset's size.
    pub fn representation(&self, assumed: &MelMethod) -> Result<RepresentationConfig, RepresentationError> {
        match self.dataset.method().unwrap_or(assumed) {
            MelMethod::BigVgan { model, .. } => RepresentationConfig::bigvgan(model, self.dataset.width()),
            MelMethod::Image { config, reference_level } => Ok(RepresentationConfig {
                mel: MelConfig { x_res: self.dataset.width(), y_res: self.dataset.height(), ..*config },
                reference_level: *reference_level,
                ..RepresentationConfig::default()
            }),
        }
    }

    /// `made`, with the level that generated music gets where every picture had its own: the median of theirs. Log-mels
    /// carry their level themselves.
    pub fn with_typical_level(&self, made: &RepresentationConfig) -> RepresentationConfig {
        let mut config = made.clone();
        if config.mel_spec_method == MelSpecMethod::Image && config.reference_level.is_none() {
            config.reference_level = self.median_level();
        }
        config
    }

    fn median_level(&self) -> Option<f32> {
        let stride = self.dataset.len().div_ceil(LEVEL_SAMPLES).max(1);
        let examples = (0..self.dataset.len()).step_by(stride).filter_map(|index| self.dataset.get(index).ok());
        let mut levels: Vec<f32> = examples.filter_map(|example| example.reference_level).collect();
        levels.sort_by(f32::total_cmp);
        levels.get(levels.len() / 2).copied()
    }
}

impl Examples for Mels {
    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn shape(&self) -> [usize; 3] {
        [1, self.dataset.height(), self.dataset.width()]
    }

    fn source(&self, index: usize) -> &str {
        &self.names[self.name_of(index)]
    }

    fn read(&self, index: usize, _: &mut Random, out: &mut [f32]) -> Result<(), TrainError> {
        let example = self.dataset.get(index).map_err(|source| TrainError::Example {
            index,
            audio_file: self.source(index).to_owned(),
            source: source.into(),
        })?;
        out.copy_from_slice(&example.values);
        Ok(())
    }
}
