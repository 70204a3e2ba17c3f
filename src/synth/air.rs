//! A breath of noise: white noise through two low-passes and a high-pass, swelling slowly.

use std::f64::consts::TAU;

use nocturne_models::random::Random;

use super::oscillator::Wavetable;

/// Adds noise of about `gain` RMS between roughly 300 Hz and `cutoff` Hz to `out`, with a swell of `period` seconds.
pub fn add(out: &mut [f64], sample_rate: f64, gain: f64, cutoff: f64, period: f64, random: &mut Random) {
    let sine = Wavetable::sine();
    let low = coefficient(cutoff, sample_rate);
    let high = coefficient(300.0, sample_rate);
    let (mut first, mut second, mut slow) = (0.0, 0.0, 0.0);
    // White noise uniform in ±√3 has RMS 1; two one-poles leave about low / 2 of its power.
    let gain = gain * libm::sqrt(3.0 / (0.5 * low));
    for (n, sample) in out.iter_mut().enumerate() {
        first += low * (2.0 * random.uniform() - 1.0 - first);
        second += low * (first - second);
        slow += high * (second - slow);
        let swell = 0.65 + 0.35 * sine.at(n as f64 / (sample_rate * period));
        *sample += gain * swell * (second - slow);
    }
}

/// The coefficient of a one-pole low-pass with its corner at `corner` Hz.
pub fn coefficient(corner: f64, sample_rate: f64) -> f64 {
    1.0 - libm::exp(-TAU * corner / sample_rate)
}
