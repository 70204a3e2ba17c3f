//! audiocraft's conditioner of melodies: the strongest pitch class of each frame, before caption and codes.

use burn::tensor::{Device, Tensor};

use super::MelodySize;
use crate::checkpoint::{Named, OmegaConf};
use crate::network::{ConfigError, check};

/// Two to this power are the samples of a frame, [`MelodySize::N_FFT`].
const EXPONENT: &str = "14";

/// What a frame is multiplied with: kept in checkpoints, computed wherever it is used.
pub(super) const WINDOW: &str = "condition_provider.conditioners.self_wav.chroma.spec.window";

/// What every published model has, and `nocturne_vocoder`'s chroma computes.
const KNOWN: [(&str, &str); 4] = [
    ("conditioners.self_wav.chroma_stem.nfft", "null"),
    ("conditioners.self_wav.chroma_stem.winlen", "null"),
    ("conditioners.self_wav.chroma_stem.winhop", "null"),
    ("conditioners.self_wav.chroma_stem.norm", "null"),
];

impl MelodySize {
    /// Samples of a frame of the published models, at any rate.
    pub const N_FFT: usize = 1 << 14;
    /// And from one frame to the next.
    pub const HOP_LENGTH: usize = Self::N_FFT / 4;

    /// Frames of a melody as long as what a model was trained on, as audiocraft counts them.
    pub fn frames_of(sample_rate: u32, seconds: f64) -> usize {
        1 + ((f64::from(sample_rate) * seconds) as usize).max(Self::N_FFT) / Self::HOP_LENGTH
    }
}

/// What a model hears of melodies, where it does.
///
/// # Errors
///
/// The first value that is missing, or has no counterpart here.
pub(super) fn read(of: &OmegaConf, segment_duration: f64) -> Result<Option<MelodySize>, ConfigError> {
    if of.get("conditioners.self_wav.model") != Some("chroma_stem") {
        return Ok(None);
    }
    for (field, known) in KNOWN {
        of.known(field, known)?;
    }
    of.chosen("conditioners.self_wav.chroma_stem.radix2_exp", &[(EXPONENT, ())])?;
    of.chosen("conditioners.self_wav.chroma_stem.argmax", &[("true", ())])?;
    let classes = of.number("conditioners.self_wav.chroma_stem.n_chroma")?;
    let (field, rate) = ("conditioners.self_wav.chroma_stem.sample_rate", of.number::<u32>("sample_rate")?);
    let found: u32 = of.number(field)?;
    check(field, found == rate, found, format!("{rate}, as sample_rate"))?;
    Ok(Some(MelodySize { classes, frames: MelodySize::frames_of(rate, segment_duration) }))
}

/// The same as a section of audiocraft's conditioners.
pub(super) fn section(classes: usize) -> String {
    format!(
        "  self_wav:
    model: chroma_stem
    chroma_stem:
      sample_rate: ${{sample_rate}}
      n_chroma: {classes}
      radix2_exp: {EXPONENT}
      argmax: true
      match_len_on_eval: false
      eval_wavs: null
      n_eval_wavs: 100
      cache_path: null
"
    )
}

/// Hann's window, which audiocraft will not open a model without.
pub(super) fn window() -> Named {
    let angle = |sample: usize| std::f64::consts::TAU * sample as f64 / MelodySize::N_FFT as f64;
    let values: Vec<f32> = (0..MelodySize::N_FFT).map(|sample| (0.5 - 0.5 * libm::cos(angle(sample))) as f32).collect();
    let values = Tensor::<1>::from_floats(values.as_slice(), &Device::flex());
    Named { name: WINDOW.to_owned(), shape: vec![MelodySize::N_FFT], values }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::super::audiocraft::{self, Description};
    use super::super::config::MELODY_DECODER;
    use super::*;
    use crate::checkpoint::text;

    /// Of a small model, in the form of the published ones.
    fn published() -> String {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/musicgen_melody/audiocraft");
        text(&fixtures.join("state_dict.bin"), "xp.cfg").unwrap()
    }

    fn changed(from: &str, to: &str) -> Result<Description, ConfigError> {
        let yaml = published();
        assert!(yaml.contains(from), "{from}");
        audiocraft::read(&OmegaConf::parse(&yaml.replacen(from, to, 1)))
    }

    #[test]
    fn a_melody_is_read() {
        let found = changed("device", "device").unwrap();
        assert_eq!(found.melody, Some(MelodySize { classes: 12, frames: 59 }));
        assert_eq!(found.decoder.model_type, MELODY_DECODER);
        // As published, at 32 kHz.
        let published = changed("sample_rate: 8000", "sample_rate: 32000").unwrap();
        assert_eq!(published.melody.unwrap().frames, 235);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let description = changed("device", "device").unwrap();
        let Description { decoder, text_encoder, sample_rate, segment_duration, .. } = &description;
        let written = decoder.to_audiocraft(text_encoder, *sample_rate, *segment_duration, Some(12));
        assert_eq!(audiocraft::read(&OmegaConf::parse(&written)).unwrap(), description);
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        for (from, to, field) in [
            ("radix2_exp: 14", "radix2_exp: 12", "conditioners.self_wav.chroma_stem.radix2_exp"),
            ("argmax: true", "argmax: false", "conditioners.self_wav.chroma_stem.argmax"),
            ("argmax: true\n", "argmax: true\n      winhop: 512\n", "conditioners.self_wav.chroma_stem.winhop"),
            ("n_chroma: 12", "n_chroma: all", "conditioners.self_wav.chroma_stem.n_chroma"),
            ("sample_rate: ${sample_rate}", "sample_rate: 16000", "conditioners.self_wav.chroma_stem.sample_rate"),
            ("model: chroma_stem", "model: style", "conditioners"),
            ("  - self_wav\n", "", "fuser.prepend"),
            ("cross: []", "cross:\n  - description", "fuser.cross"),
        ] {
            assert_eq!(changed(from, to).unwrap_err().field, field, "{to}");
        }
    }
}
