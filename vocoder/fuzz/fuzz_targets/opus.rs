//! Opus packets, without the checksums of Ogg in their way: the decoder is C translated to unsafe Rust, whose memory
//! faults nothing else would catch, so this target is only worth running with the address sanitizer.
//!
//! The input is an identification header behind its length, and then packets behind theirs (two bytes each).
#![no_main]

use libfuzzer_sys::fuzz_target;
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoderOptions};
use symphonia::core::codecs::registry::RegisterableAudioDecoder;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

#[allow(dead_code, unused_imports)]
#[path = "../../src/audio/opus.rs"]
mod opus;

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (part, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    *bytes = rest;
    Some(part)
}

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let Some(header) = part(&mut rest) else { return };
    let mut parameters = AudioCodecParameters::default();
    parameters
        .for_codec(CODEC_ID_OPUS)
        .with_channels(Channels::Discrete(u16::from(header.get(9).copied().unwrap_or(0))))
        .with_extra_data(header.into());
    let Ok(mut decoder) = opus::OpusDecoder::try_registry_new(&parameters, &AudioDecoderOptions::default()) else {
        return;
    };
    while let Some(packet) = part(&mut rest) {
        let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(0), packet);
        let _ = decoder.decode_ref(&packet);
    }
});
