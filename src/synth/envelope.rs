//! Envelopes with smooth corners: every rise and fall is half a period of a cosine.

use std::f64::consts::PI;

/// Attack, decay to a sustained level, release; times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    pub attack: f64,
    pub decay: f64,
    /// The level that the decay ends at, of 1.
    pub sustain: f64,
    pub release: f64,
}

impl Envelope {
    /// The level `time` seconds after the start of a note that is held for `hold` seconds.
    pub fn at(&self, time: f64, hold: f64) -> f64 {
        let decayed = 1.0 - (1.0 - self.sustain) * rise((time - self.attack) / self.decay);
        rise(time / self.attack) * decayed * (1.0 - rise((time - hold) / self.release))
    }
}

/// 0 before 0, 1 after 1, and half a period of a cosine between.
pub fn rise(x: f64) -> f64 {
    if x <= 0.0 {
        0.0
    } else if x >= 1.0 {
        1.0
    } else {
        0.5 - 0.5 * libm::cos(PI * x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_and_ends_at_zero_and_never_jumps() {
        let envelope = Envelope { attack: 1.5, decay: 2.0, sustain: 0.7, release: 3.0 };
        let levels: Vec<f64> = (0..=9000).map(|n| envelope.at(f64::from(n) / 1000.0, 5.0)).collect();
        assert_eq!((levels[0], levels[8000]), (0.0, 0.0));
        assert!((levels[1500] - 1.0).abs() < 1e-6 && (levels[4500] - 0.7).abs() < 1e-6);
        assert!(levels.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.0015));
    }

    #[test]
    fn a_note_shorter_than_its_attack_still_has_no_jump() {
        let envelope = Envelope { attack: 2.0, decay: 1.0, sustain: 0.5, release: 1.0 };
        let levels: Vec<f64> = (0..=2500).map(|n| envelope.at(f64::from(n) / 1000.0, 0.5)).collect();
        assert!(levels.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.0015));
        assert_eq!(levels[2000], 0.0);
    }
}
