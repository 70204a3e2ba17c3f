//! Powers, decibels, pixels and the `[-1, 1]` of a pixel-space model.

/// The power below which librosa's `power_to_db` sees silence.
pub(super) const MIN_POWER: f32 = 1e-10;

/// `10 * log10(max(power, 1e-10))`, within 2e-5 dB, by operations that every platform rounds alike.
#[inline]
pub(super) fn decibels(power: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    const DECIBELS_PER_OCTAVE: f32 = 3.010_3;
    let bits = power.max(MIN_POWER).to_bits();
    let exponent = (bits.wrapping_sub(SQRT_HALF_BITS) as i32) >> 23;
    let mantissa = f32::from_bits(bits.wrapping_sub((exponent << 23) as u32));
    // log2(m) = 2 / ln(2) * atanh((m - 1) / (m + 1)), with m between sqrt(1/2) and sqrt(2).
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = 2.885_39 + z * (0.961_796_7 + z * (0.577_078 + z * (0.412_198_6 + z * 0.320_598_9)));
    DECIBELS_PER_OCTAVE * (exponent as f32 + s * series)
}

/// The byte of a level between `-top_db` and 0 dB: clipped, then rounded by adding a half, as diffusers' `Mel` does.
#[inline]
pub(super) fn pixel_from_decibels(decibels: f32, top_db: f32) -> u8 {
    (((decibels + top_db) * 255.0 / top_db).clamp(0.0, 255.0) + 0.5) as u8
}

/// The power relative to the reference of a level on the scale where 0 is `-top_db` and 1 is 0 dB.
pub(super) fn power_from_fraction(fraction: f32, top_db: u32) -> f32 {
    libm::pow(10.0, f64::from(top_db) * (f64::from(fraction) - 1.0) / 10.0) as f32
}

/// A pixel as models see it: 0 is -1, 255 is 1.
pub fn unit_from_pixel(pixel: u8) -> f32 {
    f32::from(pixel) / 255.0 * 2.0 - 1.0
}

/// The pixel of a model's output, clamped to `[-1, 1]` and rounded half to even, as NumPy's `round`.
pub fn pixel_from_unit(unit: f32) -> u8 {
    ((unit / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_are_exact_to_float32() {
        for step in 0..200_000 {
            let power = libm::exp(-23.0 + f64::from(step) * 46.0 / 200_000.0) as f32;
            let expected = 10.0 * libm::log10(f64::from(power).max(1e-10));
            // Two units in the last place at 100 dB.
            assert!((f64::from(decibels(power)) - expected).abs() < 2e-5, "{power}: {} {expected}", decibels(power));
        }
    }

    #[test]
    fn decibels_of_nonsense_are_bounded() {
        for power in [0.0, -1.0, f32::NAN, 1e-40] {
            assert!((decibels(power) + 100.0).abs() < 2e-5);
        }
        assert!(decibels(f32::INFINITY) > 380.0);
    }

    #[test]
    fn every_pixel_survives_the_model_scale_and_the_decibels() {
        for pixel in 0..=255_u8 {
            assert_eq!(pixel_from_unit(unit_from_pixel(pixel)), pixel);
            let power = power_from_fraction(f32::from(pixel) / 255.0, 80);
            assert_eq!(pixel_from_decibels(decibels(power), 80.0), pixel);
        }
        assert_eq!([f32::NAN, -7.0, 7.0].map(pixel_from_unit), [0, 0, 255]);
    }
}
