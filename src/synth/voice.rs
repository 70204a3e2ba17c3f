//! The instruments. Each adds one note to a buffer that spans the whole track.

use nocturne_models::random::Random;

use super::envelope::{Envelope, rise};
use super::oscillator::{Wavetable, frequency};

/// A note to play: MIDI number, start and held time in seconds, strength of 1.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    pub pitch: i32,
    pub start: f64,
    pub hold: f64,
    pub strength: f64,
}

/// Three detuned sawtooth oscillators behind a low-pass of 12 dB an octave that opens and closes slowly.
#[derive(Clone, Copy, Debug)]
pub struct Pad {
    pub envelope: Envelope,
    /// Distance of the outer oscillators from the middle one.
    pub cents: f64,
    /// Corner of the low-pass in Hz, closed and open.
    pub corners: [f64; 2],
    /// Seconds in which it opens and closes.
    pub sweep: f64,
}

impl Pad {
    /// Adds `note`.
    pub fn add(&self, out: &mut [f64], sample_rate: f64, note: Note, random: &mut Random) {
        let [dark, bright] = self.corners.map(|corner| filtered_saw(frequency(note.pitch, 0.0), corner, sample_rate));
        let sine = Wavetable::sine();
        let steps = [-self.cents, 0.0, self.cents].map(|cents| frequency(note.pitch, cents) / sample_rate);
        let mut phases = steps.map(|_| random.uniform());
        let sweep_start = random.uniform();
        for (time, sample) in span(out, sample_rate, note.start, note.hold + self.envelope.release) {
            let brightness = 0.5 + 0.5 * sine.at(sweep_start + time / self.sweep);
            let mut wave = 0.0;
            for (phase, step) in phases.iter_mut().zip(steps) {
                let low = dark.at(*phase);
                wave += low + brightness * (bright.at(*phase) - low);
                *phase += step;
            }
            *sample += note.strength / 3.0 * self.envelope.at(time, note.hold) * wave;
        }
    }
}

/// A sawtooth of `pitch` Hz behind the low-pass. Its partials stop well below half the sample rate.
fn filtered_saw(pitch: f64, corner: f64, sample_rate: f64) -> Wavetable {
    let count = ((0.35 * sample_rate / pitch) as usize).clamp(1, 40);
    let partial = |k: usize| {
        let over = k as f64 * pitch / corner;
        1.0 / (k as f64 * libm::sqrt(1.0 + over * over * over * over))
    };
    Wavetable::new(&(1..=count).map(partial).collect::<Vec<_>>())
}

/// A struck string or bar: decaying partials.
#[derive(Clone, Copy, Debug)]
pub struct Struck {
    /// Frequencies of the partials as multiples of the note's.
    pub ratios: [f64; 5],
    pub amplitudes: [f64; 5],
    /// Seconds in which the lowest partial of C5 falls by 60 dB; higher notes and partials fall faster.
    pub decay: f64,
    /// Seconds of the strike.
    pub attack: f64,
}

/// A piano behind felt: stretched harmonics, few of them.
pub const PIANO: Struck = Struck {
    ratios: [1.0, 2.001, 3.004, 4.010, 5.019],
    amplitudes: [1.0, 0.42, 0.2, 0.09, 0.04],
    decay: 3.4,
    attack: 0.012,
};

/// A small soft bell: partials between the harmonics, which die soon.
pub const BELL: Struck = Struck {
    ratios: [1.0, 2.0, 2.997, 4.16, 5.43],
    amplitudes: [1.0, 0.25, 0.16, 0.1, 0.04],
    decay: 4.4,
    attack: 0.006,
};

impl Struck {
    /// Adds `note`; its `hold` does not matter, a struck note rings until it is gone.
    pub fn add(&self, out: &mut [f64], sample_rate: f64, note: Note) {
        let sine = Wavetable::sine();
        let pitch = frequency(note.pitch, 0.0);
        let decay = self.decay * libm::pow(523.25 / pitch, 0.5);
        for (k, (ratio, amplitude)) in self.ratios.into_iter().zip(self.amplitudes).enumerate() {
            let step = ratio * pitch / sample_rate;
            let seconds = decay / (1.0 + 0.7 * k as f64);
            if step >= 0.45 {
                continue;
            }
            let fall = libm::pow(10.0, -3.0 / (seconds * sample_rate));
            let (mut phase, mut level) = (0.0, note.strength * amplitude);
            for (time, sample) in span(out, sample_rate, note.start, seconds) {
                *sample += level * rise(time / self.attack) * rise((seconds - time) / 0.1) * sine.at(phase);
                phase += step;
                level *= fall;
            }
        }
    }
}

/// Adds a bass note: a sine and a little of its octave and twelfth, so that small speakers hint at it too.
pub fn add_bass(out: &mut [f64], sample_rate: f64, note: Note, envelope: Envelope) {
    let wave = Wavetable::new(&[1.0, 0.22, 0.06]);
    let step = frequency(note.pitch, 0.0) / sample_rate;
    let mut phase = 0.0;
    for (time, sample) in span(out, sample_rate, note.start, note.hold + envelope.release) {
        *sample += note.strength * envelope.at(time, note.hold) * wave.at(phase);
        phase += step;
    }
}

/// The samples of `out` from `start` for `seconds`, each with its time since `start`.
fn span(out: &mut [f64], sample_rate: f64, start: f64, seconds: f64) -> impl Iterator<Item = (f64, &mut f64)> {
    let first = ((start * sample_rate) as usize).min(out.len());
    let count = ((seconds * sample_rate) as usize).min(out.len() - first);
    out[first..first + count].iter_mut().enumerate().map(move |(n, sample)| (n as f64 / sample_rate, sample))
}
