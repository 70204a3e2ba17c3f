//! Mels as pictures, in a colour map of our own: from midnight blue over violet and amber to cream.
//!
//! Lightness rises evenly in `OKLab` (Björn Ottosson, "A perceptual color space for image processing", 2020), so that
//! equal steps in level look equal, also in grey and to the colour-blind.

/// `a` and `b` of `OKLab` at equal steps of level.
const CHROMA: [[f64; 2]; 6] =
    [[0.005, -0.035], [0.025, -0.115], [0.115, -0.105], [0.150, 0.030], [0.060, 0.120], [0.005, 0.055]];
const LIGHTNESS: [f64; 2] = [0.14, 0.97];

/// An indexed PNG of `values` in `[0, 1]` (others are clamped, NaN is 0), row-major `[height, width]` with row 0 the
/// lowest band. The picture has that band at its bottom.
///
/// # Panics
/// Where `values` does not hold `height * width` numbers, or either is 0.
pub fn spectrogram_png(values: &[f32], height: usize, width: usize) -> Vec<u8> {
    assert!(
        height > 0 && width > 0 && values.len() == height * width,
        "a picture of {height}x{width} from {} values",
        values.len()
    );
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width as u32, height as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette());
    let indices: Vec<u8> =
        values.chunks_exact(width).rev().flatten().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&indices));
    written.expect("writing a checked picture to memory cannot fail");
    out
}

fn palette() -> Vec<u8> {
    (0..=255).flat_map(|level| colour(f64::from(level) / 255.0)).collect()
}

fn colour(level: f64) -> [u8; 3] {
    let position = level * (CHROMA.len() - 1) as f64;
    let left = (position as usize).min(CHROMA.len() - 2);
    let fraction = position - left as f64;
    let [a, b] = [0, 1].map(|axis| CHROMA[left][axis] + fraction * (CHROMA[left + 1][axis] - CHROMA[left][axis]));
    oklab_to_srgb(LIGHTNESS[0] + level * (LIGHTNESS[1] - LIGHTNESS[0]), a, b)
}

fn oklab_to_srgb(lightness: f64, a: f64, b: f64) -> [u8; 3] {
    let cube = |value: f64| value * value * value;
    let l = cube(lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b);
    let m = cube(lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b);
    let s = cube(lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b);
    let linear = [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s,
    ];
    linear.map(|value| {
        let value = value.clamp(0.0, 1.0);
        let encoded = if value <= 0.003_130_8 { 12.92 * value } else { 1.055 * libm::pow(value, 1.0 / 2.4) - 0.055 };
        (255.0 * encoded).round() as u8
    })
}

/// Where `hertz` lies between the bottom (0) and the top (1) of a mel picture that reaches from 0 to `top` Hz, on
/// Slaney's scale (`librosa.hz_to_mel`).
pub fn mel_position(hertz: f64, top: f64) -> f64 {
    let mel = |hertz: f64| {
        if hertz < 1000.0 { hertz * 3.0 / 200.0 } else { 15.0 + 27.0 * libm::log(hertz / 1000.0) / libm::log(6.4) }
    };
    mel(hertz) / mel(top)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn colours_grow_lighter_evenly() {
        let luminance = |level: f64| {
            let linear = colour(level).map(|byte| (f64::from(byte) / 255.0).powf(2.2));
            (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]).cbrt()
        };
        let steps: Vec<f64> =
            (0..32).map(|n| luminance(f64::from(n + 1) / 32.0) - luminance(f64::from(n) / 32.0)).collect();
        assert!(steps.iter().all(|step| (0.005..0.06).contains(step)), "{steps:?}");
    }

    #[test]
    fn the_lowest_band_is_at_the_bottom() {
        let file = spectrogram_png(&[1.0, 1.0, 1.0, 0.0, f32::NAN, -3.0], 2, 3);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!((reader.info().width, reader.info().height), (3, 2));
        assert_eq!(pixels, [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn mel_positions_match_librosa() {
        // librosa.hz_to_mel([440, 1000, 4000, 11025]) = 6.6, 15, 35.16376, 49.91059
        for (hertz, mel) in [(440.0, 6.6), (1000.0, 15.0), (4000.0, 35.163_76)] {
            assert!((mel_position(hertz, 11_025.0) - mel / 49.910_59).abs() < 1e-6);
        }
    }
}
