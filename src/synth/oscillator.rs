//! Wavetables: one period of a band-limited wave, read at any rate.

use std::f64::consts::TAU;

const SIZE: usize = 2048;

/// One period of a wave. Reading is linear between 2048 samples, which leaves errors below −100 dB for the first partials.
#[derive(Clone, Debug)]
pub struct Wavetable {
    samples: Vec<f64>,
}

impl Wavetable {
    /// The sum of sines whose amplitudes are `partials[0]` for the fundamental, `partials[1]` for its octave, and so on.
    pub fn new(partials: &[f64]) -> Self {
        let sine: Vec<f64> = (0..SIZE).map(|n| libm::sin(TAU * n as f64 / SIZE as f64)).collect();
        let value = |n: usize| partials.iter().enumerate().map(|(k, a)| a * sine[n * (k + 1) % SIZE]).sum();
        Self { samples: (0..=SIZE).map(value).collect() }
    }

    /// A sine.
    pub fn sine() -> Self {
        Self::new(&[1.0])
    }

    /// The wave at `phase` periods, `phase >= 0`.
    pub fn at(&self, phase: f64) -> f64 {
        let position = (phase - phase.floor()) * SIZE as f64;
        let left = position as usize;
        let fraction = position - left as f64;
        self.samples[left] + fraction * (self.samples[left + 1] - self.samples[left])
    }
}

/// Frequency in Hz of a MIDI note (A4 = 69 = 440 Hz, equal temperament), `cents` higher.
pub fn frequency(note: i32, cents: f64) -> f64 {
    440.0 * libm::exp2((f64::from(note - 69) + cents / 100.0) / 12.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_as_the_sum_of_its_sines() {
        let table = Wavetable::new(&[1.0, 0.0, 0.5]);
        for step in 0..1000 {
            let phase = 0.0137 * f64::from(step);
            let exact = libm::sin(TAU * phase) + 0.5 * libm::sin(3.0 * TAU * phase);
            // A chord of the third partial misses its arc by (3·2π/2048)²/8.
            assert!((table.at(phase) - exact).abs() < 2e-5, "at {phase}");
        }
    }

    #[test]
    fn notes_have_their_frequencies() {
        assert!((frequency(69, 0.0) - 440.0).abs() < 1e-9);
        assert!((frequency(60, 0.0) - 261.625_565).abs() < 1e-5);
        assert!((frequency(68, 100.0) - 440.0).abs() < 1e-9);
    }
}
