//! Bytes into a page: data URIs and the WAV that players get.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// `data:<mime>;base64,…` (RFC 2397).
pub fn data_uri(mime: &str, bytes: &[u8]) -> String {
    let mut uri = format!("data:{mime};base64,");
    STANDARD.encode_string(bytes, &mut uri);
    uri
}

/// A mono WAV file of 16 bits. Samples outside `[-1, 1]` are clipped, and NaN is silence.
pub fn wav(samples: &[f32], sample_rate: u32) -> Vec<u8> {
    let data = (samples.len() * 2) as u32;
    let mut out = Vec::with_capacity(44 + samples.len() * 2);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(36 + data).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16_u32.to_le_bytes());
    let (pcm, channels, bytes_a_frame, bits) = (1_u16, 1_u16, 2_u16, 16_u16);
    out.extend_from_slice(&pcm.to_le_bytes());
    out.extend_from_slice(&channels.to_le_bytes());
    out.extend_from_slice(&sample_rate.to_le_bytes());
    out.extend_from_slice(&(sample_rate * u32::from(bytes_a_frame)).to_le_bytes());
    out.extend_from_slice(&bytes_a_frame.to_le_bytes());
    out.extend_from_slice(&bits.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&data.to_le_bytes());
    out.extend(samples.iter().flat_map(|sample| ((sample * 32_767.0).round() as i16).to_le_bytes()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_uri_is_base64() {
        assert_eq!(data_uri("text/plain", b"nocturne"), "data:text/plain;base64,bm9jdHVybmU=");
    }

    #[test]
    fn wav_states_its_length_and_clips() {
        let file = wav(&[0.0, 1.5, -1.5, f32::NAN, 0.5], 22_050);
        assert_eq!(file.len(), 44 + 10);
        assert_eq!(file[4..8], (file.len() as u32 - 8).to_le_bytes());
        assert_eq!(file[24..28], 22_050_u32.to_le_bytes());
        let samples: Vec<i16> = file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(samples, [0, 32_767, -32_768, 0, 16_384]);
    }
}
