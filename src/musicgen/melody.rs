use nocturne_models::musicgen::{MelodySize, as_long_as};
use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::chroma::Chroma;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::Model;
use crate::hash::hex;

/// A tune for a model that hears none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a model of the kind `{kind}` hears no melody: those of the kind `musicgen_melody` do")]
pub struct MelodyError {
    /// Which model it is.
    kind: String,
}

/// A tune that music is to follow. Published models hear vocals and melodic instruments alone, which a separating network takes out
/// of the recording first; here they hear all of the recording, so stems are given where drums and bass would hide the tune.
pub struct Melody {
    /// One channel at the model's rate.
    samples: Vec<f32>,
    sample_rate: u32,
    chroma: Chroma,
}

/// Which part of a tune a piece of music follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Window {
    /// All of it, over and over in whole frames.
    Whole,
    /// So many seconds of it from a second on, over and over in samples: what audiocraft does for music in windows.
    Periodic { start: f64, seconds: f64 },
}

impl Melody {
    /// A recording as the tune for a model.
    pub fn of(audio: Audio, model: &Model) -> Result<Self, MelodyError> {
        let Some(MelodySize { classes, .. }) = model.config.melody() else {
            return Err(MelodyError { kind: model.config.model_type.clone() });
        };
        Ok(Self::at(model.config.audio_encoder.sampling_rate, audio, classes))
    }

    fn at(sample_rate: u32, audio: Audio, classes: usize) -> Self {
        let chroma = Chroma::new(sample_rate, MelodySize::N_FFT, MelodySize::HOP_LENGTH, classes);
        Self { samples: audio.into_mono(sample_rate), sample_rate, chroma }
    }

    /// By what it is known: the sound, not the name of its file.
    pub(super) fn hash(&self) -> String {
        let mut digest = Sha256::new();
        self.samples.iter().for_each(|sample| digest.update(sample.to_le_bytes()));
        hex(digest)
    }

    /// A pitch class for each of so many frames.
    pub(super) fn classes(&self, frames: usize, window: Window) -> Vec<usize> {
        let classes = match window {
            Window::Whole => self.chroma.strongest(&self.samples, frames),
            Window::Periodic { start, seconds } => {
                let at = |seconds: f64| (seconds * f64::from(self.sample_rate)) as usize;
                let from = at(start) % self.samples.len().max(1);
                let samples: Vec<f32> = self.samples.iter().copied().cycle().skip(from).take(at(seconds)).collect();
                self.chroma.strongest(&samples, frames)
            }
        };
        as_long_as(frames, &classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of each of four notes, in stereo at twice the rate.
    fn melody() -> Melody {
        const RATE: u32 = 16_000;
        let note = |class: i32| {
            let hz = 440.0 * libm::exp2(f64::from(class - 9) / 12.0);
            (0..RATE).map(move |n| libm::sin(std::f64::consts::TAU * hz * f64::from(n) / f64::from(RATE)) as f32)
        };
        let channel: Vec<f32> = [0, 4, 7, 11].into_iter().flat_map(note).collect();
        Melody::at(RATE / 2, Audio { sample_rate: RATE, channels: vec![channel.clone(), channel] }, 12)
    }

    #[test]
    fn what_is_short_is_repeated() {
        let melody = melody();
        let whole = melody.classes(40, Window::Whole);
        // Four seconds have eight frames.
        assert_eq!(whole[..8], whole[8..16]);
        assert_eq!((whole[0], whole[7]), (0, 11));
        assert_eq!(melody.classes(5, Window::Whole), whole[..5]);
    }

    #[test]
    fn a_window_begins_where_the_one_before_it_left_the_tune() {
        let melody = melody();
        let from = |start: f64| melody.classes(59, Window::Periodic { start, seconds: 30.0 });
        assert_eq!(from(0.0).len(), 59);
        // Eighteen seconds are four times the tune and a half.
        assert_eq!(from(18.0), from(2.0));
        assert_ne!(from(18.0), from(0.0));
        assert_eq!((from(2.0)[1], from(0.0)[1]), (7, 0));
    }

    #[test]
    fn a_tune_is_known_by_its_sound() {
        let (one, mut other) = (melody(), melody());
        assert_eq!(one.hash(), other.hash());
        other.samples[7] += 1e-3;
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn nothing_is_no_tune() {
        let nothing = Melody::at(8_000, Audio { sample_rate: 8_000, channels: vec![Vec::new()] }, 12);
        for window in [Window::Whole, Window::Periodic { start: 18.0, seconds: 30.0 }] {
            assert_eq!(nothing.classes(59, window), [0; 59]);
        }
    }
}
