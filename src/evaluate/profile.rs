//! How a sound file is prepared before anything hears it.

use nocturne_evaluation::pooled_mel::levelled;
use nocturne_vocoder::audio::Audio;
use serde::Serialize;

/// How a file is prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Profile {
    /// Longer files are cut into clips of so many seconds, and what is left at the end is dropped.
    pub clip_seconds: Option<f64>,
    /// The root mean square that every clip is brought to.
    pub level: Option<f64>,
}

impl Profile {
    /// What it adds to the name that vectors are kept under, of letters that a folder's name may have.
    pub(super) fn key(self) -> String {
        let part = |letter: char, value: Option<f64>| value.map_or(String::new(), |value| format!("-{letter}{value}"));
        part('s', self.clip_seconds) + &part('l', self.level)
    }

    /// The clips of a file, mono; none of silence without a sample.
    pub(super) fn clips(self, audio: Audio) -> Vec<Audio> {
        let sample_rate = audio.sample_rate;
        let samples = audio.into_mono(sample_rate);
        let clip = self.clip_seconds.map_or(samples.len(), |seconds| (seconds * f64::from(sample_rate)) as usize);
        let mono = |samples| Audio { sample_rate, channels: vec![samples] };
        if self.level.is_none() && clip >= samples.len() {
            return if samples.is_empty() { Vec::new() } else { vec![mono(samples)] };
        }
        let level =
            |samples: &[f32]| self.level.map_or_else(|| samples.to_vec(), |level| levelled(samples, level as f32));
        samples.chunks_exact(clip.min(samples.len()).max(1)).map(level).map(mono).collect()
    }
}
