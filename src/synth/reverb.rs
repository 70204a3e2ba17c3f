//! A feedback delay network: eight delay lines mixed by a Hadamard matrix (Jot and Chaigne, "Digital delay networks for
//! designing artificial reverberators", AES 1991), with a one-pole low-pass in each line so that high notes die first.

const LINES: usize = 8;
/// Delays in seconds, without common divisors at the usual rates, so that their echoes do not fall together.
const DELAYS: [f64; LINES] = [0.0297, 0.0371, 0.0411, 0.0437, 0.0533, 0.0617, 0.0713, 0.0831];
/// Signs of the input and output taps: the direct paths through the network cancel in part, which softens its onset.
const INPUT: [f64; LINES] = [1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0];
const OUTPUT: [f64; LINES] = [1.0, 1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0];

/// The wet signal alone. `decay` is the time in seconds in which a low note falls by 60 dB; `damping` in `[0, 1)` is the
/// coefficient of the low-pass.
pub fn reverberate(input: &[f64], sample_rate: f64, decay: f64, damping: f64) -> Vec<f64> {
    let mut lines = DELAYS.map(|seconds| vec![0.0; ((seconds * sample_rate) as usize).max(1)]);
    let mut heads = [0_usize; LINES];
    let mut lowpass = [0.0; LINES];
    let gains = DELAYS.map(|seconds| libm::pow(10.0, -3.0 * seconds / decay));
    input
        .iter()
        .map(|sample| {
            let mut mixed = [0.0; LINES];
            let mut wet = 0.0;
            for line in 0..LINES {
                let delayed = lines[line][heads[line]];
                lowpass[line] = delayed + damping * (lowpass[line] - delayed);
                mixed[line] = lowpass[line] * gains[line];
                wet += OUTPUT[line] * delayed;
            }
            hadamard(&mut mixed);
            for line in 0..LINES {
                lines[line][heads[line]] = mixed[line] + INPUT[line] * sample;
                heads[line] = (heads[line] + 1) % lines[line].len();
            }
            wet / LINES as f64
        })
        .collect()
}

/// The orthonormal Walsh–Hadamard transform in place.
fn hadamard(values: &mut [f64; LINES]) {
    for stride in [1, 2, 4] {
        for start in (0..LINES).filter(|index| index & stride == 0) {
            let (a, b) = (values[start], values[start + stride]);
            values[start] = a + b;
            values[start + stride] = a - b;
        }
    }
    let norm = libm::sqrt(1.0 / LINES as f64);
    for value in values {
        *value *= norm;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixing_keeps_energy() {
        let mut values = [0.3, -1.0, 0.5, 2.0, 0.0, -0.7, 1.1, 0.2];
        let before: f64 = values.iter().map(|v| v * v).sum();
        hadamard(&mut values);
        let after: f64 = values.iter().map(|v| v * v).sum();
        assert!((before - after).abs() < 1e-12);
    }

    #[test]
    fn the_tail_decays_as_asked() {
        let rate = 22_050.0;
        let mut impulse = vec![0.0; 5 * 22_050];
        impulse[0] = 1.0;
        let tail = reverberate(&impulse, rate, 3.0, 0.0);
        let energy = |from: f64| -> f64 {
            let start = (from * rate) as usize;
            tail[start..start + 11_025].iter().map(|v| v * v).sum()
        };
        // Two seconds later: 40 dB less.
        let fall = 10.0 * libm::log10(energy(0.5) / energy(2.5));
        assert!((fall - 40.0).abs() < 2.0, "{fall} dB");
    }
}
