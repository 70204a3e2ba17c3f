//! The last stage: no offset, an even loudness, no peak above the ceiling, quiet ends.

use super::air::coefficient;
use super::envelope::rise;

/// RMS of the weighted signal, which gives about −18 LUFS.
const TARGET: f64 = 0.125;
/// Samples below the knee pass unchanged; above it they bend towards the ceiling, −1.2 dBFS.
const KNEE: f64 = 0.65;
const CEILING: f64 = 0.87;

/// Removes what lies below 30 Hz, brings `samples` to the target loudness, bends peaks, and fades both ends.
pub fn finish(samples: &[f64], sample_rate: f64, fade_in: f64, fade_out: f64) -> Vec<f32> {
    let centred = highpass(samples, 30.0, sample_rate);
    // Loudness hears bass less: a gentle high-pass stands for the weighting of ITU-R BS.1770.
    let weighted = highpass(&centred, 90.0, sample_rate);
    let power = weighted.iter().map(|sample| sample * sample).sum::<f64>() / weighted.len().max(1) as f64;
    let gain = TARGET / power.sqrt().max(1e-9);
    let last = centred.len().saturating_sub(1);
    let faded = |(n, sample): (usize, &f64)| {
        let from_start = n as f64 / sample_rate;
        let to_end = (last - n) as f64 / sample_rate;
        (bend(gain * sample) * rise(from_start / fade_in) * rise(to_end / fade_out)) as f32
    };
    centred.iter().enumerate().map(faded).collect()
}

fn highpass(samples: &[f64], corner: f64, sample_rate: f64) -> Vec<f64> {
    let a = coefficient(corner, sample_rate);
    let mut slow = 0.0;
    let step = |sample: &f64| {
        slow += a * (sample - slow);
        sample - slow
    };
    samples.iter().map(step).collect()
}

/// The identity up to the knee, then a hyperbola with the same slope there, towards the ceiling.
fn bend(sample: f64) -> f64 {
    let over = (sample.abs() - KNEE) / (CEILING - KNEE);
    if over <= 0.0 { sample } else { sample.signum() * (KNEE + (CEILING - KNEE) * over / (1.0 + over)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bend_is_smooth_and_bounded() {
        let values: Vec<f64> = (-4000..=4000).map(|n| bend(f64::from(n) / 1000.0)).collect();
        assert!(values.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] < 0.001_01));
        assert!(values.iter().all(|value| value.abs() < CEILING));
        assert_eq!(bend(0.5), 0.5);
    }

    #[test]
    fn silence_stays_silence() {
        assert!(finish(&[0.0; 100], 22_050.0, 0.001, 0.001).iter().all(|sample| *sample == 0.0));
    }
}
