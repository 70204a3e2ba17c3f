//! Audio to vectors: the embedders that there are, and how a file is cut before it is heard.

use std::path::Path;

use ndarray::{Array2, Axis, concatenate};
use nocturne_evaluation::pooled_mel::{PooledMel, levelled};
use nocturne_vocoder::audio::{Audio, MAX_SAMPLES, decode_bytes};
use nocturne_vocoder::mel::MelError;
use serde::Serialize;

/// The embedder that needs no weights.
pub const POOLED_MEL: &str = "pooled-mel";

/// How a file is prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Profile {
    /// Longer files are cut into clips of so many seconds, and what is left at the end is dropped.
    pub clip_seconds: Option<f64>,
    /// The root mean square that every clip is brought to.
    pub level: Option<f64>,
}

impl Profile {
    /// A name for what comes out, of letters that a folder's name may have. The number grows with every change of the
    /// embedding's arithmetic.
    fn key(self) -> String {
        let part = |letter: char, value: Option<f64>| value.map_or(String::new(), |value| format!("-{letter}{value}"));
        format!("{POOLED_MEL}-1{}{}", part('s', self.clip_seconds), part('l', self.level))
    }
}

/// One model, loaded once.
pub struct Embedder {
    pooled: PooledMel,
    profile: Profile,
}

impl Embedder {
    /// Plans the transforms.
    pub fn new(profile: Profile) -> Result<Self, MelError> {
        Ok(Self { pooled: PooledMel::new()?, profile })
    }

    /// What the cache knows this embedder's vectors by.
    pub fn key(&self) -> String {
        self.profile.key()
    }

    /// The vectors of a sound file in memory, or in words why it has none. `name` stands for its path in errors.
    ///
    /// # Shapes
    /// - output: `[frame, dim]`
    pub fn embed(&self, bytes: Vec<u8>, name: &Path) -> Result<Array2<f32>, String> {
        let decoded = decode_bytes(bytes, name, MAX_SAMPLES).map_err(|error| error.to_string())?;
        for warning in &decoded.warnings {
            tracing::warn!(file = %name.display(), "{warning}");
        }
        let Profile { clip_seconds, level } = self.profile;
        if clip_seconds.is_none() && level.is_none() {
            return Ok(self.pooled.embed(&decoded.audio));
        }
        let sample_rate = decoded.audio.sample_rate;
        let samples = decoded.audio.into_mono(sample_rate);
        let clip = clip_seconds.map_or(samples.len(), |seconds| (seconds * f64::from(sample_rate)) as usize);
        let clips: Vec<Array2<f32>> = samples
            .chunks_exact(clip.min(samples.len()).max(1))
            .map(|samples| {
                let samples = level.map_or_else(|| samples.to_vec(), |level| levelled(samples, level as f32));
                self.pooled.embed(&Audio { sample_rate, channels: vec![samples] })
            })
            .collect();
        let views: Vec<_> = clips.iter().map(|clip| clip.view()).collect();
        Ok(concatenate(Axis(0), &views).unwrap_or_else(|_| Array2::zeros((0, PooledMel::DIM))))
    }
}
