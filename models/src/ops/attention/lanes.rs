//! Arithmetic on whole vectors of any instruction set.

use pulp::Simd;

use super::panels::PANEL;

/// eˣ for x ≤ 0 to within 2 units in the last place; 0 below −87.7, NaN of NaN.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Adding this rounds to a whole number, held in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with few enough digits that its multiples are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // The best polynomial over ±ln 2 / 2 that ends in 1: its error is 3e-9.
    const SERIES: [f32; 6] = [0.008_379_107, 0.041_664_768, 0.166_663_65, 0.500_000_06, 1.0, 1.0];
    let constant = |value| simd.splat_f32s(value);
    // 2 to the power of −127 has the bits of 0. The order of the two lets a NaN through.
    let bounded = simd.max_f32s(constant(-88.0), x);
    let shifted = simd.mul_add_e_f32s(bounded, constant(std::f32::consts::LOG2_E), constant(ROUND));
    let power = simd.sub_f32s(shifted, constant(ROUND));
    let rest = simd.mul_add_e_f32s(power, constant(-LN_2_HIGH), bounded);
    let rest = simd.mul_add_e_f32s(power, constant(-LN_2_LOW), rest);
    let mut series = constant(0.001_406_160_4);
    for coefficient in SERIES {
        series = simd.mul_add_e_f32s(series, rest, constant(coefficient));
    }
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let scale = simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23));
    simd.mul_f32s(series, simd.transmute_f32s_u32s(scale))
}

/// A slice as groups of `M` vectors; what does not fill a group is left out.
#[inline(always)]
pub(super) fn groups<S: Simd, const M: usize>(values: &[f32]) -> &[[S::f32s; M]] {
    S::as_simd_f32s(values).0.as_chunks().0
}

/// [`groups`] to write to.
#[inline(always)]
pub(super) fn groups_mut<S: Simd, const M: usize>(values: &mut [f32]) -> &mut [[S::f32s; M]] {
    S::as_mut_simd_f32s(values).0.as_chunks_mut().0
}

/// `output[n] = start(n, m, output[n]) + Σᵢ panel[i][n] · rows[i]`: scalars of a panel times rows of `M` vectors.
///
/// # Shapes
///
/// `[inner, M]` and `[inner, PANEL]` → `[PANEL, M]`
#[inline(always)]
pub(super) fn multiply<S: Simd, const M: usize>(
    simd: S,
    rows: &[[S::f32s; M]],
    panel: &[f32],
    start: impl Fn(usize, S::f32s) -> S::f32s,
    output: &mut [[S::f32s; M]; PANEL],
) {
    let mut sums = [[simd.splat_f32s(0.0); M]; PANEL];
    for n in 0..PANEL {
        for m in 0..M {
            sums[n][m] = start(m, output[n][m]);
        }
    }
    for (row, scalars) in rows.iter().zip(panel.as_chunks::<PANEL>().0) {
        for n in 0..PANEL {
            let scalar = simd.splat_f32s(scalars[n]);
            for m in 0..M {
                sums[n][m] = simd.mul_add_e_f32s(scalar, row[m], sums[n][m]);
            }
        }
    }
    *output = sums;
}

/// `output[n] += Σᵢ columns[n][i] · rows[i]`: the same where the scalars of one sum lie one after another, `inner` of
/// them.
///
/// # Shapes
///
/// `[inner, C]` and `[PANEL, inner]` → `[PANEL, C]`
#[inline(always)]
pub(super) fn multiply_columns<S: Simd, const C: usize>(
    simd: S,
    inner: usize,
    rows: &[[S::f32s; C]],
    columns: &[f32],
    output: &mut [[S::f32s; C]; PANEL],
) {
    let (rows, columns) = (&rows[..inner], &columns[..PANEL * inner]);
    let mut sums = *output;
    for (i, row) in rows.iter().enumerate() {
        for n in 0..PANEL {
            let scalar = simd.splat_f32s(columns[n * inner + i]);
            for c in 0..C {
                sums[n][c] = simd.mul_add_e_f32s(scalar, row[c], sums[n][c]);
            }
        }
    }
    *output = sums;
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, Scalar, WithSimd};

    use super::*;

    /// [`exp`] of every value.
    struct Exp<'a>(&'a mut [f32]);

    impl WithSimd for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for value in groups_mut::<S, 1>(self.0) {
                *value = value.map(|x| exp(simd, x));
            }
        }
    }

    #[test]
    fn exp_is_accurate_below_zero() {
        let points: Vec<f32> = (0..87_600).map(|step| -step as f32 / 1000.0).collect();
        let (mut found, mut scalar) = (points.clone(), points.clone());
        Arch::new().dispatch(Exp(&mut found));
        Exp(&mut scalar).with_simd(Scalar::new());
        for (x, found) in points.iter().chain(&points).zip(found.iter().chain(&scalar)) {
            let expected = libm::exp(f64::from(*x));
            let error = (f64::from(*found) - expected).abs() / expected;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "{x}: {error:e}");
        }
        let mut limits = [0.0, -88.0, -1e30, f32::NEG_INFINITY, f32::NAN, f32::MIN, -0.0, -100.0].repeat(2);
        Arch::new().dispatch(Exp(&mut limits));
        assert_eq!(limits[..4], [1.0, 0.0, 0.0, 0.0]);
        assert!(limits[4].is_nan());
        assert_eq!(limits[5..8], [0.0, 1.0, 0.0]);
    }
}
