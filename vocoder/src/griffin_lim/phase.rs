//! Random phases, by operations that every platform rounds alike.

/// The cosine and the sine of a part of a turn: `turn` / 2³². Within 1e-7, by the polynomials of Moshier's Cephes.
#[inline(always)]
pub fn on_circle(turn: u32) -> [f32; 2] {
    const QUARTER: u32 = 1 << 30;
    // The nearest quarter, and what is left: half a quarter at most, either way.
    let quarters = turn.wrapping_add(QUARTER / 2) / QUARTER;
    let left = turn.wrapping_sub(quarters.wrapping_mul(QUARTER)) as i32;
    let x = left as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
    let z = x * x;
    let sine = x + x * z * (-0.166_666_55 + z * (0.008_332_161 - z * 0.000_195_152_96));
    let cosine = 1.0 - 0.5 * z + z * z * (0.041_666_646 + z * (-0.001_388_731_6 + z * 0.000_024_433_157));
    match quarters {
        0 => [cosine, sine],
        1 => [-sine, cosine],
        2 => [-cosine, -sine],
        _ => [sine, -cosine],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_circle() {
        for step in 0..100_000_u32 {
            let turn = step.wrapping_mul(42_949_673).wrapping_add(step);
            let angle = f64::from(turn) * std::f64::consts::TAU / 4_294_967_296.0;
            let [cosine, sine] = on_circle(turn).map(f64::from);
            assert!((cosine - libm::cos(angle)).abs() < 1.2e-7 && (sine - libm::sin(angle)).abs() < 1.2e-7, "{turn}");
        }
    }
}
