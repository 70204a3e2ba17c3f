//! FLAC through flacenc.

use std::path::Path;

use flacenc::bitsink::ByteSink;
use flacenc::component::BitRepr;
use flacenc::config::Encoder;
use flacenc::error::Verify;
use flacenc::source::MemSource;

use super::{Output, SampleFormat, cannot, interleaved, to_integer, unwritable};
use crate::audio::{Audio, AudioError};

/// RFC 9639 §8.2: the stream header has three bits for the channels and twenty for the rate; players stop here.
const MAX_CHANNELS: usize = 8;
const MAX_SAMPLE_RATE: u32 = 655_350;

pub(super) fn write(audio: &Audio, file: &mut dyn Output, path: &Path, format: SampleFormat) -> Result<(), AudioError> {
    let bits = match format {
        SampleFormat::Int16 => 16,
        SampleFormat::Int24 => 24,
        SampleFormat::Float32 => return Err(cannot(path, "flac holds integers; choose 16 or 24 bits")),
    };
    let channels = audio.channels.len();
    if channels > MAX_CHANNELS {
        return Err(cannot(path, format!("flac holds at most {MAX_CHANNELS} channels, not {channels}")));
    }
    if audio.sample_rate > MAX_SAMPLE_RATE {
        return Err(cannot(path, format!("flac ends at {MAX_SAMPLE_RATE} Hz, not {} Hz", audio.sample_rate)));
    }
    let failed = |error: String| cannot(path, error);
    let config = Encoder::default().into_verified().map_err(|(_, error)| failed(error.to_string()))?;
    let samples: Vec<i32> = interleaved(audio).map(|sample| to_integer(sample, bits)).collect();
    let source = MemSource::from_samples(&samples, channels, bits as usize, audio.sample_rate as usize);
    let mut stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size)
        .map_err(|error| failed(error.to_string()))?;
    // RFC 9639 §8.2 leaves the last block out of these sizes; flacenc counts it, and decoders refuse less than 16.
    let block = config.block_size;
    stream.stream_info_mut().set_block_sizes(block, block).map_err(|error| failed(error.to_string()))?;
    let mut bytes = ByteSink::new();
    stream.write(&mut bytes).map_err(|error| failed(error.to_string()))?;
    file.write_all(bytes.as_slice()).map_err(unwritable(path))
}
