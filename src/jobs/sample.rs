//! A mel as people look at it and listen to it.

use crate::dataset::Picture;
use crate::report::wav;
use crate::representation::{Representation, picture};
use crate::train::samples::{Clip, Sample};
use ndarray::ArrayView2;
use nocturne_vocoder::mel::MelError;

/// The picture and the audio of a mel `[mel, frame]` in the model's scale. `reference_level`: see [`Representation::audio`].
pub(super) fn sample(
    mel: ArrayView2<f32>,
    representation: &Representation,
    reference_level: Option<f32>,
    seed: u64,
) -> Result<Sample, MelError> {
    let audio = representation.audio(mel, reference_level, seed)?;
    Ok(heard(mel, &audio, representation.config().mel.sample_rate))
}

/// The picture of a mel `[mel, frame]` in −1…1, with audio that is at hand.
pub(super) fn heard(mel: ArrayView2<f32>, audio: &[f32], sample_rate: u32) -> Sample {
    let (height, width) = mel.dim();
    Sample {
        width: width as u32,
        height: height as u32,
        png: Picture { width, height, pixels: picture(mel) }.to_png(),
        clip: Some(Clip { sample_rate, channels: 1, frames: audio.len() as u64, wav: wav(audio, sample_rate) }),
    }
}
