//! Loops over slices, compiled for each instruction set and chosen when they run.
//!
//! Only additions in a fixed number of lanes and no fused operations: the results are the same on every processor.

/// Lanes of a sum: the widest vector of any instruction set.
const LANES: usize = 16;

/// Runs `work`, and what is inlined into it, with the best instructions of this processor.
#[inline]
pub(super) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The sum of `term` over pairs.
#[inline(always)]
pub(super) fn sum_of_pairs(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut total = 0.0f64;
    // Blocks short enough for f32, added up in f64.
    for (left, right) in left.chunks(4096).zip(right.chunks(4096)) {
        let mut lanes = [0.0f32; LANES];
        let (left, left_rest) = left.as_chunks::<LANES>();
        let (right, right_rest) = right.as_chunks::<LANES>();
        for (left, right) in left.iter().zip(right) {
            for lane in 0..LANES {
                lanes[lane] += term(left[lane], right[lane]);
            }
        }
        let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| term(*left, *right)).sum();
        total += f64::from(lanes.iter().sum::<f32>() + rest);
    }
    total as f32
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
    vectorised(|| sum_of_pairs(values, values, |value, _| value))
}

/// eˣ to within 2 units in the last place, in operations that every instruction set has on whole vectors; 0 below
/// −87.3, e⁸⁸ above 88.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding this rounds to a whole number, held in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with few enough digits that its multiples are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let bounded = x.clamp(-87.3, 88.0);
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let rest = bounded - power * LN_2_HIGH - power * LN_2_LOW;
    // Taylor's series: rest is within ±ln 2 / 2, where the next term is 1e-8.
    let mut series = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * rest + coefficient;
    }
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.3 { 0.0 } else { series * scale }
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_range() {
        for step in -87_000..88_000 {
            let x = step as f32 / 1000.0;
            let expected = libm::exp(f64::from(x));
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "{x}: {error:e}");
        }
        assert_eq!([exp(0.0), exp(-1e4), exp(f32::NEG_INFINITY)], [1.0, 0.0, 0.0]);
        assert!(exp(f32::INFINITY) > 1e38 && exp(f32::NAN).is_nan());
        assert_eq!([sigmoid(0.0), sigmoid(1e9), sigmoid(-1e9)], [0.5, 1.0, sigmoid(-88.0)]);
    }

    #[test]
    fn sums_are_the_same_on_every_instruction_set() {
        let values: Vec<f32> = (0..9001).map(|i| (i * 7919 % 1009) as f32 / 37.0 - 13.0).collect();
        assert_eq!(sum(&values).to_bits(), sum_of_pairs(&values, &values, |value, _| value).to_bits());
        let exact: f64 = values.iter().map(|value| f64::from(*value)).sum();
        assert!((f64::from(sum(&values)) - exact).abs() < 1e-6 * 9001.0 * 13.0);
    }
}
