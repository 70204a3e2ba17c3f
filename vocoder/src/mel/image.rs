use std::borrow::Cow;

use ndarray::{Array2, ArrayView2};

use super::scale::{MIN_POWER, decibels, pixel_from_decibels, power_from_fraction};
use super::{MelConfig, MelError, MelFilterbank, MelInversion, Stft, pad_zero};
use crate::griffin_lim::{GriffinLim, Phase};

/// The `image` method: 8-bit pictures of librosa's power mel in decibels, as diffusers' `Mel` class draws them.
///
/// The mel is `librosa.feature.melspectrogram` with its defaults (centred frames over zero padding, periodic Hann window,
/// power, Slaney's mel); the picture spans `top_db` below the reference, rounded to 255 steps.
pub struct ImageMel {
    config: MelConfig,
    stft: Stft,
    filterbank: MelFilterbank,
    inversion: MelInversion,
}

/// The power that a picture shows as 0 dB, its brightest pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Reference {
    /// The loudest point of each slice, as published: a picture then says nothing about how loud the slice was.
    #[default]
    SliceMaximum,
    /// One power for all slices, so that a quiet slice has a dark picture. What is louder is clipped.
    Level(f32),
}

/// A mel spectrogram as an 8-bit picture, and the level it was made at.
#[derive(Clone, Debug, PartialEq)]
pub struct MelImage {
    /// Frames.
    pub width: usize,
    /// Mel bands.
    pub height: usize,
    /// `height` rows of `width` pixels, the first row the lowest band.
    pub pixels: Vec<u8>,
    /// The power that is 0 dB, the value 255.
    pub reference_level: f32,
}

impl MelImage {
    /// Whether nothing is in it: all pixels are the same. That is how silence looks, all white under
    /// [`Reference::SliceMaximum`] (where the silence itself is 0 dB), all black under [`Reference::Level`].
    pub fn is_silent(&self) -> bool {
        self.pixels.iter().all(|pixel| *pixel == self.pixels[0])
    }
}

impl ImageMel {
    /// Plans the transforms and makes the filterbank of a configuration.
    pub fn new(config: &MelConfig) -> Result<Self, MelError> {
        config.validate()?;
        let MelConfig { hop_length, n_fft, sample_rate, y_res, .. } = *config;
        let filterbank = MelFilterbank::new(sample_rate, n_fft, y_res, 0.0, f64::from(sample_rate) / 2.0);
        let inversion = MelInversion::new(&filterbank);
        Ok(Self { config: *config, stft: Stft::new(n_fft, hop_length), filterbank, inversion })
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &MelConfig {
        &self.config
    }

    /// Samples of one slice.
    pub fn slice_size(&self) -> usize {
        self.config.slice_size()
    }

    /// How many slices a recording of `length` samples has. Short ones are padded to one; a remainder is dropped.
    pub fn slices(&self, length: usize) -> usize {
        (length / self.slice_size()).max(1)
    }

    /// Slice `index` of a recording, padded with silence where the recording ends before it.
    pub fn slice<'a>(&self, audio: &'a [f32], index: usize) -> Cow<'a, [f32]> {
        let size = self.slice_size();
        let start = index.saturating_mul(size).min(audio.len());
        let end = (start + size).min(audio.len());
        let mut slice = Cow::Borrowed(&audio[start..end]);
        if slice.len() < size {
            slice.to_mut().resize(size, 0.0);
        }
        slice
    }

    /// The picture of one slice. A shorter slice is padded with silence, of a longer one the rest is dropped.
    pub fn image(&self, slice: &[f32], reference: Reference) -> MelImage {
        let slice = self.slice(slice, 0);
        let (width, height) = (self.config.x_res, self.config.y_res);
        let mel = self.mel_frames(&slice);
        let reference_level = match reference {
            Reference::SliceMaximum => mel.iter().copied().fold(MIN_POWER, f32::max),
            Reference::Level(power) => power.max(MIN_POWER),
        };
        let reference_level = reference_level.min(f32::MAX);
        let reference_decibels = decibels(reference_level);
        let top_db = self.config.top_db as f32;
        let mut pixels = vec![0; width * height];
        let mut column = vec![0; height];
        for (frame, powers) in mel.chunks_exact(height).enumerate() {
            for (pixel, power) in column.iter_mut().zip(powers) {
                *pixel = pixel_from_decibels(decibels(*power) - reference_decibels, top_db);
            }
            for (band, pixel) in column.iter().enumerate() {
                pixels[band * width + frame] = *pixel;
            }
        }
        MelImage { width, height, pixels, reference_level }
    }

    /// The powers that a picture shows, at its own level: `[mel, frame]`.
    pub fn power(&self, image: &MelImage) -> Result<Array2<f32>, MelError> {
        let table: Vec<f32> =
            (0..=255_u8).map(|pixel| power_from_fraction(f32::from(pixel) / 255.0, self.config.top_db)).collect();
        let powers = image.pixels.iter().map(|pixel| table[usize::from(*pixel)] * image.reference_level).collect();
        Array2::from_shape_vec((image.height, image.width), powers).map_err(|_| MelError::Shape {
            what: "a mel picture",
            found: vec![image.pixels.len()],
            expected: format!("{} rows of {} pixels", image.height, image.width),
        })
    }

    /// The powers of a model's output in `[-1, 1]` (`[mel, frame]`, clamped, never rounded to 8 bits), where 1 is
    /// `reference_level`.
    pub fn power_from_unit(&self, mel: ArrayView2<f32>, reference_level: f32) -> Array2<f32> {
        mel.mapv(|unit| power_from_fraction((unit / 2.0 + 0.5).clamp(0.0, 1.0), self.config.top_db) * reference_level)
    }

    /// The audio of a power mel `[mel, frame]`: non-negative least squares to the linear spectrum, then `n_iter`
    /// iterations of Griffin-Lim from the random phases of `seed`. `(frame - 1) * hop_length` samples.
    pub fn audio(&self, power: ArrayView2<f32>, seed: u64) -> Result<Vec<f32>, MelError> {
        let (bands, frames) = power.dim();
        if bands != self.config.y_res || frames == 0 {
            return Err(MelError::Shape {
                what: "a mel",
                found: vec![bands, frames],
                expected: format!("{} bands and at least one frame", self.config.y_res),
            });
        }
        let mut magnitude = self.inversion.solve(power);
        magnitude.mapv_inplace(f32::sqrt);
        let griffin_lim = GriffinLim { iterations: self.config.n_iter, ..GriffinLim::default() };
        Ok(griffin_lim.audio(&self.stft, magnitude.view(), Phase::Random { seed }))
    }

    /// Power mels, frame after frame.
    fn mel_frames(&self, slice: &[f32]) -> Vec<f32> {
        let MelConfig { hop_length, n_fft, x_res, y_res, .. } = self.config;
        let padded = pad_zero(slice, n_fft / 2);
        let mut scratch = self.stft.scratch();
        let mut power = vec![0.0; self.stft.bins()];
        let mut mel = vec![0.0; x_res * y_res];
        for (frame, out) in mel.chunks_exact_mut(y_res).enumerate() {
            self.stft.forward(&padded[frame * hop_length..][..n_fft], &mut scratch);
            for (value, bin) in power.iter_mut().zip(&scratch.spectrum) {
                *value = bin.re * bin.re + bin.im * bin.im;
            }
            self.filterbank.apply(&power, out);
        }
        mel
    }
}
