use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Limits, Transformations};

/// Wider or higher pictures are refused before they are decoded.
const MAX_SIDE: u32 = 1 << 16;

/// More pixels are refused as well.
const MAX_PIXELS: u64 = 1 << 26;

/// A grey picture: `height` rows of `width` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The rows, from the top.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// The picture as an 8-bit grey PNG, the same bytes for the same pixels.
    pub fn to_png(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.pixels.len() + 256);
        let mut encoder = Encoder::new(&mut out, self.width as u32, self.height as u32);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Balanced);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&self.pixels)?;
            writer.finish()
        });
        if let Err(error) = written {
            unreachable!("writing {}x{} grey pixels to memory: {error}", self.width, self.height);
        }
        out
    }

    /// Reads a PNG. Colour pictures are taken where all their channels are equal; anything else is an error in words.
    pub fn from_png(bytes: &[u8]) -> Result<Self, String> {
        let mut decoder = Decoder::new_with_limits(std::io::Cursor::new(bytes), Limits { bytes: 1 << 28 });
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        decoder.set_transformations(Transformations::normalize_to_color8());
        let header = decoder.read_header_info().map_err(|error| error.to_string())?;
        let (width, height) = (header.width, header.height);
        if width == 0
            || height == 0
            || width > MAX_SIDE
            || height > MAX_SIDE
            || u64::from(width) * u64::from(height) > MAX_PIXELS
        {
            return Err(format!("a picture of {width}x{height} pixels"));
        }
        let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
        let size = reader.output_buffer_size().ok_or("a picture that does not fit in memory")?;
        let mut pixels = vec![0; size];
        let frame = reader.next_frame(&mut pixels).map_err(|error| error.to_string())?;
        let channels = frame.color_type.samples();
        pixels.truncate(frame.buffer_size());
        let grey = match frame.color_type {
            ColorType::Grayscale => pixels,
            ColorType::GrayscaleAlpha => pixels.iter().copied().step_by(channels).collect(),
            _ => {
                if pixels.chunks_exact(channels).any(|pixel| pixel[0] != pixel[1] || pixel[1] != pixel[2]) {
                    return Err("a colour picture".to_string());
                }
                pixels.iter().copied().step_by(channels).collect()
            }
        };
        if grey.len() != width as usize * height as usize {
            return Err(format!("{} pixels in a picture of {width}x{height}", grey.len()));
        }
        Ok(Self { width: width as usize, height: height as usize, pixels: grey })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nocturne_models::random::Random;

    use super::*;

    fn noise(width: usize, height: usize) -> Picture {
        let mut random = Random::new(1, "pixels", 0);
        Picture { width, height, pixels: (0..width * height).map(|_| random.next_u32() as u8).collect() }
    }

    #[test]
    fn pixels_come_back() {
        for (width, height) in [(1, 1), (24, 16), (7, 300)] {
            let picture = noise(width, height);
            assert_eq!(Picture::from_png(&picture.to_png()).unwrap(), picture);
        }
    }

    #[test]
    fn grey_in_colour_is_taken_and_colour_is_not() {
        let encode = |pixels: &[u8]| {
            let mut out = Vec::new();
            let mut encoder = Encoder::new(&mut out, 2, 1);
            encoder.set_color(ColorType::Rgb);
            encoder.write_header().unwrap().write_image_data(pixels).unwrap();
            out
        };
        assert_eq!(Picture::from_png(&encode(&[9, 9, 9, 200, 200, 200])).unwrap().pixels, [9, 200]);
        assert_eq!(Picture::from_png(&encode(&[9, 9, 9, 200, 201, 200])).unwrap_err(), "a colour picture");
    }

    #[test]
    fn damaged_pictures_are_errors() {
        let whole = noise(24, 16).to_png();
        for length in 0..whole.len() - 16 {
            assert!(Picture::from_png(&whole[..length]).is_err(), "cut to {length} bytes");
        }
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            drop(Picture::from_png(&damaged));
        }
        let mut huge = whole;
        huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert!(Picture::from_png(&huge).is_err());
    }
}
