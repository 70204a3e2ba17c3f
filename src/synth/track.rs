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
