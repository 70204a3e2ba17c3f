use nocturne_models::musicgen::{Padding, Sampling};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Precision, Strategy};

/// What `--config` and `--set` may say of music that MusicGen makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MusicgenExperiment {
    /// How it is made.
    pub sampling: MusicgenSampling,
}

/// How music is made; the defaults are audiocraft's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MusicgenSampling {
    /// Seconds of each item.
    pub duration: f64,
    /// How strongly to follow the caption; 1 is no guidance.
    pub guidance_scale: f64,
    /// The unguided scores in a pass of their own: slower, with the same results.
    pub two_step_cfg: bool,
    /// Only so many of the best tokens are drawn; 0 for all.
    pub top_k: usize,
    /// Instead, the best tokens whose probabilities sum up to this; 0 for no such bound.
    pub top_p: f64,
    /// Divides the scores.
    pub temperature: f64,
    /// The best token, always.
    pub greedy: bool,
    /// Beyond 30 seconds, each window of 30 begins so many seconds after the one before it.
    pub extend_stride: f64,
    /// Whether tokens that only fill a batch are hidden, as in transformers, so that an item is the same in any batch, or
    /// attended to as zeros, as in audiocraft; none for what the library does that wrote the model.
    pub padding: Option<Padding>,
    /// How the weights of the language model are held; only the CPU takes others than `f32`.
    pub precision: Precision,
    /// How loud the files are.
    pub strategy: Strategy,
    /// Items that are made at once.
    pub batch_size: usize,
    /// One seed, one result; each item has the next one.
    pub seed: u64,
}

impl Default for MusicgenSampling {
    fn default() -> Self {
        Self {
            duration: 10.0,
            guidance_scale: 3.0,
            two_step_cfg: false,
            top_k: 250,
            top_p: 0.0,
            temperature: 1.0,
            greedy: false,
            extend_stride: 18.0,
            padding: None,
            precision: Precision::default(),
            strategy: Strategy::default(),
            batch_size: 1,
            seed: 0,
        }
    }
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`sampling.{field}` is {found}, expected {expected}")]
pub struct SettingsError {
    /// Which.
    pub field: &'static str,
    /// Its value.
    pub found: String,
    /// What it may be.
    pub expected: &'static str,
}

/// Seconds of the longest item: what it takes in memory is half a gigabyte.
const LONGEST: f64 = 3600.0;

/// Seconds that the published models were trained on, and so those of a window.
pub(super) const WINDOW: f64 = 30.0;

impl MusicgenSampling {
    /// Checks every value.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let check = |field, holds: bool, found: String, expected| {
            if holds { Ok(()) } else { Err(SettingsError { field, found, expected }) }
        };
        let Self { duration, guidance_scale, top_p, temperature, extend_stride, batch_size, .. } = self;
        let shown = |value: &f64| value.to_string();
        check("duration", *duration > 0.0 && *duration <= LONGEST, shown(duration), "above 0, up to 3600 s")?;
        check("guidance_scale", guidance_scale.is_finite(), shown(guidance_scale), "a number")?;
        check("top_p", (0.0..=1.0).contains(top_p), shown(top_p), "0 to 1")?;
        check("temperature", *temperature > 0.0 && temperature.is_finite(), shown(temperature), "above 0")?;
        let within = *extend_stride > 0.0 && *extend_stride < WINDOW;
        check("extend_stride", within, shown(extend_stride), "above 0, below 30 s")?;
        check("batch_size", *batch_size > 0, batch_size.to_string(), "1 or more")
    }

    pub(super) fn tokens(&self) -> Sampling {
        if self.greedy {
            return Sampling::GREEDY;
        }
        Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p }
    }
}
