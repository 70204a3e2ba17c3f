//! Loops over slices, compiled for each instruction set and chosen when they run.
//!
//! Additions go in a fixed number of lanes, and what is fused is written so (`mul_add`): the results are the same on every
//! processor. One without fused operations does them in software, slowly.

/// Lanes of the widest vector of any instruction set. Long sums go in four vectors, for an addition takes four cycles.
const LANES: usize = 16;

/// Values that f32 adds up well enough; their sums are added up in f64.
pub(super) const BLOCK: usize = 4096;

/// Runs `work`, and what is inlined into it, with the best instructions of this processor. Only a closure that says
/// `#[inline(always)]` is inlined for certain; one that is not calls a function for each `mul_add`.
#[inline]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The sum of `term` over pairs.
#[inline(always)]
pub(super) fn sum_of_pairs(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut total = 0.0f64;
    for (left, right) in left.chunks(BLOCK).zip(right.chunks(BLOCK)) {
        total += f64::from(sum_of_block(left, right, &term));
    }
    total as f32
}

#[inline(always)]
fn sum_of_block(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    // Four arrays: one of four vectors would be kept in memory.
    let [mut one, mut two, mut three, mut four] = [[0.0f32; LANES]; 4];
    let (left, left_rest) = left.as_chunks::<{ 4 * LANES }>();
    let (right, right_rest) = right.as_chunks::<{ 4 * LANES }>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            one[lane] += term(left[lane], right[lane]);
        }
        for lane in 0..LANES {
            two[lane] += term(left[lane + LANES], right[lane + LANES]);
        }
        for lane in 0..LANES {
            three[lane] += term(left[lane + 2 * LANES], right[lane + 2 * LANES]);
        }
        for lane in 0..LANES {
            four[lane] += term(left[lane + 3 * LANES], right[lane + 3 * LANES]);
        }
    }
    let mut sums = [0.0f32; LANES];
    for lane in 0..LANES {
        sums[lane] = (one[lane] + two[lane]) + (three[lane] + four[lane]);
    }
    // Only hides how the lanes are added up later: seen together, the loop above is compiled to vectors of two values.
    let mut sums = std::hint::black_box(sums);
    let (left, left_rest) = left_rest.as_chunks::<LANES>();
    let (right, right_rest) = right_rest.as_chunks::<LANES>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += term(left[lane], right[lane]);
        }
    }
    let mut rest = 0.0;
    for (left, right) in left_rest.iter().zip(right_rest) {
        rest += term(*left, *right);
    }
    total(sums) + rest
}

/// The sum of all lanes, by halves: what the processor can do with whole vectors, and in few steps.
#[inline(always)]
fn total(lanes: [f32; LANES]) -> f32 {
    let (mut eight, mut four) = ([0.0; 8], [0.0; 4]);
    for lane in 0..8 {
        eight[lane] = lanes[lane] + lanes[lane + 8];
    }
    for lane in 0..4 {
        four[lane] = eight[lane] + eight[lane + 4];
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// The mean of some values, and the reciprocal of their standard deviation.
pub(super) type Normaliser = [f32; 2];

/// How many values there are, their mean, and the sum of their squared distances from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    #[inline(always)]
    pub(super) fn of(values: &[f32]) -> Self {
        let (first, rest) = values.split_at(values.len().min(BLOCK));
        let mut all = Self::of_block(first);
        for block in rest.chunks(BLOCK) {
            all = all.with(Self::of_block(block));
        }
        all
    }

    #[inline(always)]
    fn of_block(values: &[f32]) -> Self {
        let count = values.len() as f64;
        let mean = f64::from(sum_of_block(values, values, |value, _| value)) / count;
        let centre = mean as f32;
        let squares = sum_of_block(values, values, |value, _| (value - centre) * (value - centre));
        Self { count, mean, squares: f64::from(squares) }
    }

    /// Those of both together (Chan, Golub & LeVeque, "Algorithms for computing the sample variance", 1983).
    #[inline]
    pub(super) fn with(self, other: Self) -> Self {
        let count = self.count + other.count;
        let (apart, share) = (other.mean - self.mean, other.count / count);
        Self {
            count,
            mean: self.mean + apart * share,
            squares: self.squares + other.squares + apart * apart * self.count * share,
        }
    }

    /// The mean, and 1 / √(variance + `epsilon`).
    #[inline]
    pub(super) fn normaliser(self, epsilon: f64) -> Normaliser {
        [self.mean as f32, (1.0 / (self.squares / self.count + epsilon).sqrt()) as f32]
    }
}

/// The largest of `values`.
#[inline(always)]
pub(super) fn maximum(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for values in whole {
        for lane in 0..LANES {
            lanes[lane] = larger(values[lane], lanes[lane]);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

/// The sum of `values`.
pub(super) fn sum(values: &[f32]) -> f32 {
    vectorised(
        #[inline(always)]
        || sum_of_pairs(values, values, |value, _| value),
    )
}

/// Two factors of eˣ, their product within 2 units in the last place: a number near 1 and a power of 2. Outside of −87.3 to
/// 88, those of the nearest x inside.
#[inline(always)]
fn exp_factors(x: f32) -> [f32; 2] {
    let [rest, slope, scale] = exp_series(x);
    [rest.mul_add(slope, 1.0), scale]
}

/// eˣ = (1 + rest · slope) · scale, rest being small.
#[inline(always)]
fn exp_series(x: f32) -> [f32; 3] {
    // Adding this rounds to a whole number, held in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts.
    const LN_2_HIGH: f32 = std::f32::consts::LN_2;
    const LN_2_LOW: f32 = -1.904_654_2e-9;
    let bounded = x.clamp(-87.3, 88.0);
    let shifted = bounded.mul_add(std::f32::consts::LOG2_E, ROUND);
    let power = shifted - ROUND;
    let rest = power.mul_add(-LN_2_LOW, power.mul_add(-LN_2_HIGH, bounded));
    // The polynomial with the least relative error, 3e-9, where rest is: within ±ln 2 / 2.
    let mut slope = 0.001_406_160_4;
    for coefficient in [0.008_379_107, 0.041_664_768, 0.166_663_65, 0.500_000_06, 1.0] {
        slope = rest.mul_add(slope, coefficient);
    }
    [rest, slope, f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))]
}

/// eˣ − 1, accurate where it is small, too.
#[inline(always)]
fn exp_minus_one(x: f32) -> f32 {
    let [rest, slope, scale] = exp_series(x);
    scale.mul_add(rest * slope, scale - 1.0)
}

/// x above 0, eˣ − 1 below.
#[inline(always)]
pub(super) fn elu(x: f32) -> f32 {
    let below = exp_minus_one(x);
    if x > 0.0 { x } else { below }
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let fall = exp_minus_one(-2.0 * x);
    -fall / (fall + 2.0)
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    silu_of(1.0, x)
}

/// x / (1 + e⁻ˣ)
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    silu_of(x, x)
}

#[inline(always)]
fn silu_of(numerator: f32, x: f32) -> f32 {
    let [series, scale] = exp_factors(-x);
    numerator / series.mul_add(scale, 1.0)
}

/// x times the normal distribution's share below x.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    // erfc(z) = t · exp(s · q(s) − z²), where t = 1 / (1 + z / 2), s = 1 − t, and q is the polynomial with the least error of
    // its kind, 2e-7. Beyond the bound nothing is left.
    let z = (x.abs() * std::f32::consts::FRAC_1_SQRT_2).min(9.4);
    let t = 1.0 / z.mul_add(0.5, 1.0);
    let s = 0.5 * t * z;
    let mut q = -0.123_974_19;
    for coefficient in
        [0.544_455_1, -0.802_617_3, 0.404_662_04, -0.114_458_42, 0.228_882_01, 0.157_440_96, -0.303_035_7, -1.256_761_2]
    {
        q = s.mul_add(q, coefficient);
    }
    let [series, scale] = exp_factors(s.mul_add(q, -(z * z)));
    let beyond = 0.5 * x.abs() * t * series * scale;
    // Of a number that is none, none of this is a number.
    if x > 0.0 { x - beyond } else { x * 0.0 - beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exp(x: f32) -> f32 {
        let [series, scale] = exp_factors(x);
        series * scale
    }

    #[test]
    fn exp_is_accurate_over_its_range() {
        for step in -87_000..88_000 {
            let x = step as f32 / 1000.0;
            let expected = libm::exp(f64::from(x));
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 1.25 * f64::from(f32::EPSILON), "{x}: {error:e}");
        }
        assert_eq!([exp(0.0), exp(-1e4), exp(f32::NEG_INFINITY)], [1.0, exp(-87.3), exp(-87.3)]);
        assert!(exp(f32::INFINITY) > 1e38 && exp(f32::NAN).is_nan());
        assert_eq!([sigmoid(0.0), sigmoid(1e9), sigmoid(-1e9)], [0.5, 1.0, sigmoid(-88.0)]);
        assert_eq!([silu(0.0), silu(1e9), silu(2.0)], [0.0, 1e9, 2.0 / (1.0 + exp(-2.0))]);
    }

    #[test]
    fn what_is_made_of_exp_is_accurate_near_zero_and_far_from_it() {
        for step in -40_000..40_000 {
            let x = (step as f32 / 4000.0).powi(3);
            let wide = f64::from(x);
            for (found, expected) in
                [(tanh(x), libm::tanh(wide)), (elu(x), if x > 0.0 { wide } else { libm::expm1(wide) })]
            {
                let error = (f64::from(found) - expected).abs() / expected.abs().max(1e-30);
                assert!(error < 4.0 * f64::from(f32::EPSILON), "{x}: {found} is not {expected}");
            }
        }
        assert_eq!([tanh(1e9), tanh(-1e9), elu(-1e9), elu(1e9)], [1.0, -1.0, -1.0, 1e9]);
        assert!(tanh(f32::NAN).is_nan() && elu(f32::NAN).is_nan());
    }

    #[test]
    fn results_are_the_same_on_every_instruction_set() {
        let values: Vec<f32> = (0..9001).map(|i| (i * 7919 % 1009) as f32 / 37.0 - 13.0).collect();
        assert_eq!(sum(&values).to_bits(), sum_of_pairs(&values, &values, |value, _| value).to_bits());
        let exact: f64 = values.iter().map(|value| f64::from(*value)).sum();
        assert!((f64::from(sum(&values)) - exact).abs() < 1e-6 * 9001.0 * 13.0);
        let all = || values.iter().map(|value| silu(*value)).collect::<Vec<_>>();
        assert_eq!(vectorised(all), all());
    }

    #[test]
    fn moments_are_exact_far_from_zero() {
        let values: Vec<f32> = (0..9001).map(|i| 1000.0 + (i * 7919 % 1009) as f32 / 512.0).collect();
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / 9001.0;
        let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / 9001.0;
        let moments = Moments::of(&values);
        assert!((moments.mean / mean - 1.0).abs() < 1e-7);
        assert!((moments.squares / 9001.0 / variance - 1.0).abs() < 1e-6);
    }
}
