//! One track: its character is drawn, its chords are laid out in time, its instruments are mixed.

use nocturne_models::random::Random;

use super::air;
use super::envelope::Envelope;
use super::harmony::{Chord, progression};
use super::level::finish;
use super::reverb::reverberate;
use super::voice::{self, BELL, Note, PIANO, Pad, Struck};

/// What makes one track unlike another.
struct Character {
    /// Seconds of one chord, and the beats in it on which a struck note may fall.
    chord: f64,
    beats: u64,
    pad: Pad,
    struck: Struck,
    /// Chance of a struck note on a beat.
    density: f64,
    air: f64,
    hall: f64,
}

impl Character {
    fn draw(random: &mut Random) -> Self {
        let mut between = |low: f64, high: f64| low + (high - low) * random.uniform();
        let chord = between(5.0, 8.0);
        let envelope = Envelope {
            attack: between(1.0, 2.2),
            decay: 2.0,
            sustain: between(0.55, 0.85),
            release: between(1.8, 3.2),
        };
        let pad = Pad {
            envelope,
            cents: between(3.0, 6.5),
            corners: [between(250.0, 400.0), between(600.0, 1400.0)],
            sweep: between(9.0, 17.0),
        };
        let struck = if between(0.0, 1.0) < 0.5 { PIANO } else { BELL };
        let beats = if between(0.0, 1.0) < 0.5 { 6 } else { 8 };
        let (density, air, hall) = (between(0.25, 0.6), between(0.002, 0.006), between(3.0, 5.5));
        Self { chord, beats, pad, struck, density, air, hall }
    }
}

/// `seconds` of soft ambient music in mono at `sample_rate` Hz: about −18 LUFS, peaks below −1 dBFS, faded at both ends.
///
/// `seed` names the album and `index` the track on it; the same numbers give the same samples on every machine.
///
/// # Panics
/// Where `seconds` is negative or not finite, or `sample_rate` is below 8 kHz.
pub fn track(seed: u64, index: u64, seconds: f64, sample_rate: u32) -> Vec<f32> {
    assert!(seconds.is_finite() && seconds >= 0.0, "seconds must be finite and not negative, not {seconds}");
    assert!(sample_rate >= 8000, "sample rate must be at least 8000 Hz, not {sample_rate}");
    let rate = f64::from(sample_rate);
    let length = (seconds * rate).round() as usize;
    let character = Character::draw(&mut Random::new(seed, "synth: character", index));
    let count = (seconds / character.chord).ceil() as usize;
    let chords = progression(&mut Random::new(seed, "synth: harmony", index), count);

    let (mut pads, mut keys) = (vec![0.0; length], vec![0.0; length]);
    let mut bass = vec![0.0; length];
    play_chords(&mut pads, &mut bass, rate, &character, &chords, &mut Random::new(seed, "synth: pads", index));
    play_melody(&mut keys, rate, &character, &chords, &mut Random::new(seed, "synth: melody", index));

    let send: Vec<f64> = pads.iter().zip(&keys).map(|(pad, key)| 0.5 * pad + key).collect();
    let hall = reverberate(&send, rate, character.hall, 0.35);
    let mut mix: Vec<f64> =
        (0..length).map(|n| 0.55 * pads[n] + 0.85 * keys[n] + 0.4 * bass[n] + 1.2 * hall[n]).collect();
    air::add(&mut mix, rate, character.air, 4000.0, 11.0, &mut Random::new(seed, "synth: air", index));
    finish(&mix, rate, (0.05 * seconds).min(2.5), (0.1 * seconds).min(4.0))
}

/// Four pad notes and a bass note a chord; each chord's release sounds into the next one's attack.
fn play_chords(
    pads: &mut [f64],
    bass: &mut [f64],
    rate: f64,
    character: &Character,
    chords: &[Chord],
    random: &mut Random,
) {
    let low = Envelope { attack: 0.8, decay: 2.0, sustain: 0.7, release: 1.5 };
    for (number, chord) in chords.iter().enumerate() {
        let start = number as f64 * character.chord;
        let note = |pitch, strength| Note { pitch, start, hold: character.chord, strength };
        for pitch in chord.parts {
            let strength = 0.75 + 0.25 * random.uniform();
            character.pad.add(pads, rate, note(pitch, strength), random);
        }
        voice::add_bass(bass, rate, note(chord.bass, 1.0), low);
    }
}

/// Chord tones an octave above the pads, here and there on a beat, never the same twice in a row.
fn play_melody(keys: &mut [f64], rate: f64, character: &Character, chords: &[Chord], random: &mut Random) {
    let beat = character.chord / character.beats as f64;
    let mut before = 0;
    for (number, chord) in chords.iter().enumerate() {
        for place in 0..character.beats {
            let pitch = chord.parts[random.below(4) as usize] + 12;
            let (chance, late, touch) = (random.uniform(), 0.04 * random.uniform(), random.uniform());
            if chance < character.density && pitch != before {
                let start = number as f64 * character.chord + place as f64 * beat + late;
                character.struck.add(keys, rate, Note { pitch, start, hold: 0.0, strength: 0.35 + 0.4 * touch });
                before = pitch;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 22_050;

    fn decibels(amplitude: f64) -> f64 {
        20.0 * libm::log10(amplitude)
    }

    /// FNV-1a of the samples as 16-bit integers: the same on every platform, and after every change that means to keep
    /// the music as it is.
    #[test]
    fn the_music_is_the_same_everywhere() {
        let bytes = track(0, 0, 10.0, RATE).into_iter().flat_map(|s| ((s * 32_767.0).round() as i16).to_le_bytes());
        let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3));
        assert_eq!(hash, 0x297b_2080_b89d_cf98, "{hash:#018x}");
    }

    #[test]
    fn levels_are_even_and_ends_are_quiet() {
        for index in 0..4 {
            let samples = track(3, index, 40.0, RATE);
            assert_eq!(samples.len(), 40 * 22_050);
            let peak = samples.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
            let count = samples.len() as f64;
            let mean = samples.iter().map(|s| f64::from(*s)).sum::<f64>() / count;
            let rms = libm::sqrt(samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / count);
            assert!(decibels(f64::from(peak)) < -1.0, "peak {peak}");
            assert!((-20.0..-15.0).contains(&decibels(rms)), "rms {rms}");
            assert!(mean.abs() < 1e-4, "offset {mean}");
            assert!(samples[0].abs() < 1e-4 && samples[samples.len() - 1].abs() < 1e-4);
        }
    }

    /// A click is a sample whose curvature stands far out of its surroundings; struck notes reach 9.
    #[test]
    fn nothing_clicks() {
        let samples = track(5, 1, 30.0, RATE);
        let curvature: Vec<f32> = samples.windows(3).map(|w| w[0] - 2.0 * w[1] + w[2]).collect();
        for window in curvature.chunks_exact(2048) {
            let rms = (window.iter().map(|c| c * c).sum::<f32>() / 2048.0).sqrt();
            let peak = window.iter().fold(0.0, |peak: f32, c| peak.max(c.abs()));
            assert!(peak < 14.0 * rms + 1e-6, "{peak} in {rms}");
        }
    }

    #[test]
    fn seed_and_index_choose_the_track() {
        let first = track(1, 0, 2.0, RATE);
        assert_eq!(first, track(1, 0, 2.0, RATE));
        assert_ne!(first, track(1, 1, 2.0, RATE));
        assert_ne!(first, track(2, 0, 2.0, RATE));
    }

    #[test]
    fn short_tracks_and_other_rates_are_music_too() {
        assert!(track(0, 0, 0.0, RATE).is_empty());
        assert_eq!(track(0, 0, 1.0 / 22_050.0, RATE).len(), 1);
        for rate in [8000, 48_000, 96_000] {
            assert!(track(0, 0, 3.0, rate).iter().all(|sample| sample.abs() < 0.89));
        }
    }
}
