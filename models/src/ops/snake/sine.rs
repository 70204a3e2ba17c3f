//! A snake's wave and its slopes, in turns: sin(πf) needs only the distance f to the nearest half turn.

/// Up to so many half turns, phases are reduced in f32: what the rounded frequency lacks then moves no phase by more than
/// 1/500 out of ±½.
const NEAR: f32 = 65_536.0;

/// Adding this rounds to a whole number.
const ROUND: f32 = 12_582_912.0;

/// The snake x + sin²(alpha · x) / (beta + 1e-9) of one channel (Ziyin et al., "Neural networks fail to learn periodic
/// functions and how to fix it", 2020; beta apart as in `BigVGAN`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Snake {
    alpha: f32,
    /// alpha / π, and what that leaves.
    frequency: [f32; 2],
    /// 1 / (beta + 1e-9)
    amplitude: f32,
}

/// What the slopes of a snake at one value are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slopes {
    /// Of the input.
    pub input: f32,
    /// Of alpha.
    pub alpha: f32,
    /// Of beta.
    pub beta: f32,
}

impl Snake {
    pub fn new(alpha: f32, beta: f32) -> Self {
        let exact = f64::from(alpha) / std::f64::consts::PI;
        let high = exact as f32;
        Self { alpha, frequency: [high, (exact - f64::from(high)) as f32], amplitude: 1.0 / (beta + 1e-9) }
    }

    /// Whether all values up to this magnitude are near.
    #[inline(always)]
    pub fn is_near(&self, largest: f32) -> bool {
        // A NaN is not.
        largest * self.frequency[0].abs() < NEAR / 2.0
    }

    /// The snake, of any value where `FAR`, otherwise of those that are near.
    #[inline(always)]
    pub fn at<const FAR: bool>(&self, x: f32) -> f32 {
        let sine = if FAR && !self.is_near_itself(x) {
            libm::sin(f64::from(self.alpha) * f64::from(x)) as f32
        } else {
            self.near(x).0
        };
        sine.mul_add(sine * self.amplitude, x)
    }

    /// Its slopes, of any value where `FAR`, otherwise of those that are near.
    #[inline(always)]
    pub fn slopes<const FAR: bool>(&self, x: f32) -> Slopes {
        let [sine, cosine] = if FAR && !self.is_near_itself(x) {
            let (sine, cosine) = libm::sincos(f64::from(self.alpha) * f64::from(x));
            [sine as f32, cosine as f32]
        } else {
            let (sine, rest) = self.near(x);
            [sine, cosine(rest)]
        };
        // Both change sign from one half turn to the next, which no product shows.
        let double = 2.0 * sine * cosine * self.amplitude;
        let wave = sine * self.amplitude;
        Slopes { input: double.mul_add(self.alpha, 1.0), alpha: double * x, beta: -wave * wave }
    }

    #[inline(always)]
    fn is_near_itself(&self, x: f32) -> bool {
        (x * self.frequency[0]).abs() < NEAR
    }

    /// The sine of alpha · x but for its sign, and alpha · x / π less the nearest whole number.
    #[inline(always)]
    fn near(&self, x: f32) -> (f32, f32) {
        let [high, low] = self.frequency;
        let turns = x.mul_add(high, ROUND) - ROUND;
        let rest = x.mul_add(low, x.mul_add(high, -turns));
        (sine(rest), rest)
    }
}

/// sin(πf) for f within ±½, by the polynomial with the least relative error, 5e-9.
#[inline(always)]
fn sine(f: f32) -> f32 {
    let square = f * f;
    let mut series = 0.077_560_39;
    for coefficient in [-0.598_242_1, 2.550_069_8, -5.167_71, std::f32::consts::PI] {
        series = square.mul_add(series, coefficient);
    }
    f * series
}

/// cos(πf) for f within ±½, by the polynomial with the least absolute error, 2e-10.
#[inline(always)]
fn cosine(f: f32) -> f32 {
    let square = f * f;
    let mut series = -0.024_396_716;
    for coefficient in [0.234_937_56, -1.335_212_1, 4.058_709, -4.934_802, 1.0] {
        series = square.mul_add(series, coefficient);
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values near and far, on both sides of the border.
    fn values() -> impl Iterator<Item = f32> {
        let near = (-300_000..300_000).map(|step| step as f32 / 60.0);
        let far =
            (0..2000).flat_map(|step| [1.0, -1.0].map(|sign| sign * 1.02f32.powi(step / 2) * (1.0 + step as f32)));
        near.chain(far).filter(|value| value.is_finite())
    }

    #[test]
    fn the_wave_is_right_to_the_last_bits() {
        for (alpha, beta) in [(1.0, 1.0), (0.3, 0.1), (7.7, 20.0), (-2.0, 1.0)] {
            let snake = Snake::new(alpha, beta);
            for x in values() {
                let (sine, cosine) = libm::sincos(f64::from(alpha) * f64::from(x));
                let sum = f64::from(x) + sine * sine / f64::from(beta);
                // The square has twice the sine's rounding, then its own and the quotient's; the sum rounds last.
                let unit = f64::from(f32::EPSILON);
                let wrong = (f64::from(snake.at::<true>(x)) - sum).abs();
                assert!(
                    wrong < unit * (0.5 * sum.abs() + 2.5 * sine * sine / f64::from(beta) + 0.1),
                    "{alpha}, {x}: {wrong:e}"
                );
                let slope = 1.0 + 2.0 * sine * cosine * f64::from(alpha) / f64::from(beta);
                let wrong = (f64::from(snake.slopes::<true>(x).input) - slope).abs();
                // Two units of the sine's and the cosine's, two of the products'.
                assert!(wrong < unit * (1.0 + 4.0 * f64::from((alpha / beta).abs())), "slope {alpha}, {x}: {wrong:e}");
            }
        }
    }

    #[test]
    fn near_values_have_the_same_bits_either_way() {
        let snake = Snake::new(0.7, 1.3);
        for x in values().filter(|value| snake.is_near(value.abs())) {
            assert_eq!(snake.at::<true>(x).to_bits(), snake.at::<false>(x).to_bits());
            assert_eq!(snake.slopes::<true>(x).alpha.to_bits(), snake.slopes::<false>(x).alpha.to_bits());
        }
    }
}
