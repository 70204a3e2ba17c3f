//! WAV through hound.

use std::io;
use std::path::Path;

use hound::{SampleFormat as HoundFormat, WavSpec, WavWriter};

use super::{Output, SampleFormat, cannot, interleaved, to_integer, unwritable};
use crate::audio::{Audio, AudioError};

/// The sizes in a RIFF header have 32 bits; the rest is room for the header.
const MAX_BYTES: u64 = u32::MAX as u64 - 4096;

pub(super) fn write(audio: &Audio, file: &mut dyn Output, path: &Path, format: SampleFormat) -> Result<(), AudioError> {
    let (bits_per_sample, sample_format) = match format {
        SampleFormat::Int16 => (16, HoundFormat::Int),
        SampleFormat::Int24 => (24, HoundFormat::Int),
        SampleFormat::Float32 => (32, HoundFormat::Float),
    };
    let channels = u16::try_from(audio.channels.len())
        .map_err(|_| cannot(path, format!("wav holds at most 65535 channels, not {}", audio.channels.len())))?;
    let bytes = audio.frames() as u64 * u64::from(channels) * u64::from(bits_per_sample / 8);
    if bytes > MAX_BYTES {
        return Err(cannot(path, format!("{bytes} bytes of samples; a wav file ends at 4 GiB")));
    }
    let spec = WavSpec { channels, sample_rate: audio.sample_rate, bits_per_sample, sample_format };
    let failed = |error| match error {
        hound::Error::IoError(source) => unwritable(path)(source),
        other => unwritable(path)(io::Error::other(other)),
    };
    let mut writer = WavWriter::new(file, spec).map_err(failed)?;
    for sample in interleaved(audio) {
        match format {
            SampleFormat::Float32 => writer.write_sample(sample),
            _ => writer.write_sample(to_integer(sample, u32::from(bits_per_sample))),
        }
        .map_err(failed)?;
    }
    writer.finalize().map_err(failed)
}
