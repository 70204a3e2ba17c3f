//! Chromas: how strong each pitch class is, whatever its octave.

use crate::mel::{MelFilterbank, Stft, pad_reflect};

/// Chromas as MusicGen's melody models hear them: audiocraft's `ChromaExtractor`, transformers'
/// `MusicgenMelodyFeatureExtractor`.
pub struct Chroma {
    stft: Stft,
    bank: MelFilterbank,
}

impl Chroma {
    /// Of `classes` pitch classes, which begin at C where they are twelve. Nothing may be zero.
    pub fn new(sample_rate: u32, n_fft: usize, hop_length: usize, classes: usize) -> Self {
        Self { stft: Stft::new(n_fft, hop_length), bank: filterbank(sample_rate, n_fft, classes) }
    }

    /// How many pitch classes.
    pub fn classes(&self) -> usize {
        self.bank.n_mels()
    }

    /// The weights of each frequency bin in each class.
    ///
    /// # Shapes
    ///
    /// `[class, bin]`, flat
    pub fn filters(&self) -> Vec<f32> {
        let mut filters = vec![0.0; self.classes() * self.bank.bins()];
        for (class, row) in filters.chunks_exact_mut(self.bank.bins()).enumerate() {
            let (first, weights) = self.bank.band(class);
            row[first..first + weights.len()].copy_from_slice(weights);
        }
        filters
    }

    /// The chromas of the first frames, up to `most`, the strongest class of each at 1. Frames are centred, so the first is about
    /// the first sample; the samples are mirrored at both ends, and what is shorter than a frame lies in the middle of silence.
    ///
    /// # Shapes
    ///
    /// `[sample]` → `[frame, class]`, flat
    pub fn frames(&self, samples: &[f32], most: usize) -> Vec<f32> {
        /// What is weaker stays weaker than 1.
        const FLOOR: f32 = 1e-6;
        let (n_fft, hop, classes) = (self.stft.n_fft(), self.stft.hop_length(), self.classes());
        // So many samples are behind the centre of a frame.
        let needed = most.saturating_mul(hop).saturating_add(n_fft);
        let samples = &samples[..samples.len().min(needed)];
        let missing = n_fft.saturating_sub(samples.len());
        let mut whole = vec![0.0; missing / 2];
        whole.extend_from_slice(samples);
        whole.resize(samples.len() + missing, 0.0);
        let padded = pad_reflect(&whole, n_fft / 2);
        let energy: f32 = self.stft.window().iter().map(|weight| weight * weight).sum();
        let mut scratch = self.stft.scratch();
        let mut power = vec![0.0; self.stft.bins()];
        let mut chromas = vec![0.0; self.stft.frames(padded.len()).min(most) * classes];
        for (frame, chroma) in chromas.chunks_exact_mut(classes).enumerate() {
            self.stft.forward(&padded[frame * hop..][..n_fft], &mut scratch);
            for (power, bin) in power.iter_mut().zip(&scratch.spectrum) {
                *power = bin.norm_sqr() / energy;
            }
            self.bank.apply(&power, chroma);
            let strongest = chroma.iter().copied().fold(FLOOR, f32::max);
            for class in chroma {
                *class /= strongest;
            }
        }
        chromas
    }

    /// The strongest class of each of the first frames, up to `most`; of silence the first.
    ///
    /// # Shapes
    ///
    /// `[sample]` → `[frame]`
    pub fn strongest(&self, samples: &[f32], most: usize) -> Vec<usize> {
        let strongest = |chroma: &[f32]| {
            let better = |best: usize, (class, value): (usize, &f32)| if *value > chroma[best] { class } else { best };
            chroma.iter().enumerate().fold(0, better)
        };
        self.frames(samples, most).chunks_exact(self.classes()).map(strongest).collect()
    }
}

/// `librosa.filters.chroma` with its defaults and no tuning: each bin goes to the classes about its pitch, in a bell as wide as the
/// bin but at least a class, and counts most five octaves above 27.5 Hz (Ellis, "Chroma Feature Analysis and Synthesis", 2007).
fn filterbank(sample_rate: u32, n_fft: usize, classes: usize) -> MelFilterbank {
    /// The lowest A of a piano.
    const LOWEST: f64 = 27.5;
    const CENTRE: f64 = 5.0;
    const OCTAVES: f64 = 2.0;
    let count = classes as f64;
    let pitch = |bin: usize| {
        // Silence has no pitch: it stands an octave and a half below the first bin.
        let (bin, lower) = if bin == 0 { (1, 1.5 * count) } else { (bin, 0.0) };
        let frequency = bin as f64 * f64::from(sample_rate) / n_fft as f64;
        count * libm::log2(frequency / LOWEST) - lower
    };
    let half = libm::rint(count / 2.0);
    let bells: Vec<Vec<f64>> = (0..=n_fft / 2)
        .map(|bin| {
            let at = pitch(bin);
            let width = (pitch(bin + 1) - at).max(1.0);
            let bell = |class: usize| {
                let distance = (at - class as f64 + half + 10.0 * count).rem_euclid(count) - half;
                libm::exp(-0.5 * libm::pow(2.0 * distance / width, 2.0))
            };
            let bell: Vec<f64> = (0..classes).map(bell).collect();
            let norm = bell.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
            let octave = libm::exp(-0.5 * libm::pow((at / count - CENTRE) / OCTAVES, 2.0));
            bell.into_iter().map(|weight| weight / norm * octave).collect()
        })
        .collect();
    // Pitches are counted from A, classes from C.
    let from_a = |class: usize| (class + 3 * (classes / 12)) % classes;
    MelFilterbank::from_fn(n_fft / 2 + 1, classes, |class, bin| bells[bin][from_a(class)] as f32)
}

#[cfg(test)]
mod tests {
    use nocturne_models::musicgen::MelodySize;

    use super::*;

    const RATE: u32 = 32_000;

    fn tone(hz: f64, samples: usize) -> impl Iterator<Item = f32> {
        (0..samples).map(move |n| libm::sin(std::f64::consts::TAU * hz * n as f64 / f64::from(RATE)) as f32)
    }

    fn published() -> Chroma {
        Chroma::new(RATE, MelodySize::N_FFT, MelodySize::HOP_LENGTH, 12)
    }

    #[test]
    fn every_note_is_its_pitch_class_in_every_octave() {
        let chroma = published();
        // From C3 to B6.
        for note in 48..96 {
            let hz = 440.0 * libm::exp2((f64::from(note) - 69.0) / 12.0);
            let tone: Vec<f32> = tone(hz, 40_000).collect();
            let expected = note as usize % 12;
            assert!(chroma.strongest(&tone, 100).iter().all(|class| *class == expected), "note {note}");
        }
    }

    #[test]
    fn a_melody_is_followed() {
        let notes = [0, 4, 7, 11];
        let of_class =
            |class: &i32| tone(261.625_565 * libm::exp2(f64::from(*class) / 12.0), 4 * MelodySize::HOP_LENGTH);
        let samples: Vec<f32> = notes.iter().flat_map(of_class).collect();
        let found = published().strongest(&samples, 100);
        assert_eq!(found.len(), 17);
        // In the middle of each note.
        assert_eq!([2, 6, 10, 14].map(|frame| found[frame]), [0, 4, 7, 11]);
    }

    #[test]
    fn thirty_seconds_have_235_frames() {
        let chroma = published();
        let long: Vec<f32> = tone(440.0, 33 * RATE as usize).collect();
        assert_eq!(chroma.strongest(&long[..30 * RATE as usize], usize::MAX).len(), 235);
        // The first frames are the same, however many there are.
        let all = chroma.frames(&long, usize::MAX);
        for most in [0, 1, 235] {
            assert_eq!(chroma.frames(&long, most), all[..12 * most]);
        }
    }

    #[test]
    fn silence_and_fragments_have_frames_too() {
        let chroma = published();
        for samples in [0, 1, 100] {
            assert_eq!(chroma.strongest(&vec![0.0; samples], 100), [0; 5]);
        }
        assert_eq!(chroma.strongest(&[f32::MAX; 3], 100).len(), 5);
    }

    #[test]
    fn the_strongest_class_is_one() {
        let chroma = Chroma::new(8_000, 512, 128, 12);
        let noise: Vec<f32> =
            (0..4_000u32).map(|n| ((n.wrapping_mul(2_654_435_761) >> 16) % 97) as f32 / 97.0).collect();
        for frame in chroma.frames(&noise, usize::MAX).chunks_exact(12) {
            assert_eq!(frame.iter().copied().fold(0.0, f32::max), 1.0);
        }
    }
}
