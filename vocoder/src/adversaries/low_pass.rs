use std::f64::consts::PI;

/// Taps of every filter here.
pub(super) const TAPS: usize = 256;

/// A low-pass filter of [`TAPS`] taps by frequency sampling under a Hamming window, as scipy's `firwin2` makes it: 1 up to
/// `cutoff / (1 + transition)`, 0 from `cutoff * (1 + transition)`, straight between. 1 is half the sampling rate.
pub(super) fn low_pass(cutoff: f64, transition: f64) -> Vec<f32> {
    let (pass, stop) = (cutoff / (1.0 + transition), cutoff * (1.0 + transition));
    let gain = |frequency: f64| ((stop - frequency) / (stop - pass)).clamp(0.0, 1.0);
    let centre = (TAPS as f64 - 1.0) / 2.0;
    (0..TAPS)
        .map(|tap| {
            let wave = |k: usize| {
                gain(k as f64 / TAPS as f64) * libm::cos(PI * k as f64 * (tap as f64 - centre) / TAPS as f64)
            };
            let sum = wave(0) + 2.0 * (1..TAPS).map(wave).sum::<f64>();
            let window = 0.54 - 0.46 * libm::cos(PI * tap as f64 / centre);
            (sum / (2 * TAPS) as f64 * window) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_passes_what_is_low_and_nothing_else() {
        let taps = low_pass(0.25, 0.03);
        let response = |frequency: f64| {
            let wave =
                |(tap, value): (usize, &f32)| f64::from(*value) * libm::cos(PI * frequency * (tap as f64 - 127.5));
            taps.iter().enumerate().map(wave).sum::<f64>()
        };
        for frequency in [0.0, 0.1, 0.2, 0.23] {
            assert!((response(frequency) - 1.0).abs() < 0.01, "{frequency}");
        }
        for frequency in [0.27, 0.3, 0.7, 1.0] {
            assert!(response(frequency).abs() < 0.01, "{frequency}");
        }
    }
}
