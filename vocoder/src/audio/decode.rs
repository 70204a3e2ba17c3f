//! Decoding whole files, with an account of what was wrong with them.
//!
//! The rules, in the order in which they apply:
//!
//! * What a header claims allocates nothing; memory grows with what is decoded, up to [`MAX_SAMPLES`].
//! * Encoder delay and padding are cut where the file tells them: LAME and Xing headers of mp3, granule positions of
//!   Ogg (Vorbis, Opus, FLAC), pre-skip of Opus, the first edit and the duration of mp4. Raw AAC (ADTS) tells
//!   nothing and keeps the encoder's priming samples, usually 1024 or 2112.
//! * A packet that does not decode is left out and the rest moves up, as ffmpeg does; it is told as
//!   [`Warning::Skipped`]. When more packets fail than decode, the file is [`AudioError::Damaged`].
//! * A file that ends too early keeps what it has, told as [`Warning::Truncated`].
//! * A FLAC file whose metadata are damaged or do not fit its frames (a broken comment, a wrong channel count, no
//!   STREAMINFO block, junk in front) is read from its frames alone, if two that follow each other begin within 1 MiB of
//!   the junk or the damaged block. Only the length is still taken from the metadata.
//! * A rate or channel count that changes for good within a file is [`AudioError::Unsupported`]; of mp3 files one
//!   after the other, those of another rate are [`Warning::Skipped`]. Chained Ogg files of one rate and channel count
//!   are joined.
//! * A NaN or infinite sample makes the file [`AudioError::Damaged`], as librosa refuses it: in training it would
//!   spread over everything. Finite samples beyond full scale are kept.
//! * HE-AAC decodes as its AAC-LC core, at half the rate: the decoder knows no spectral band replication.

use std::fmt;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::io::MediaSource;

use super::reader::{Reader, Step, open_file};
use super::{Audio, AudioError};

/// The most samples over all channels that one file may decode to: 8 GiB, or six hours of stereo at 48 kHz.
///
/// A file of a lower rate is counted as if it had 48 kHz, so that resampling cannot outgrow the limit either.
pub const MAX_SAMPLES: u64 = 1 << 31;

const NOMINAL_RATE: u32 = 48_000;

/// A decoded file.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The sound.
    pub audio: Audio,
    /// What a careful listener should know about it; empty for a sound file in order.
    pub warnings: Vec<Warning>,
}

/// Damage that left something useful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The data stop before the end that the container gives.
    Truncated {
        /// Frames that were decoded.
        frames: u64,
        /// Frames that the header claims, where it does.
        claimed: Option<u64>,
    },
    /// Packets that could not be decoded were left out.
    Skipped {
        /// How many.
        packets: u64,
        /// Out of how many.
        total: u64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { frames, claimed: Some(claimed) } => {
                write!(f, "ends after {frames} of {claimed} frames")
            }
            Self::Truncated { frames, claimed: None } => write!(f, "cut off after {frames} frames"),
            Self::Skipped { packets, total } => write!(f, "{packets} of {total} packets are damaged and left out"),
        }
    }
}

/// Decodes a sound file; the module tells the rules.
pub fn decode(path: &Path) -> Result<Decoded, AudioError> {
    guard(path, || read_all(open_file(path)?, path, MAX_SAMPLES))
}

/// Decodes a sound file that is already in memory. `name` stands for its path in errors.
pub fn decode_bytes(bytes: Vec<u8>, name: &Path, max_samples: u64) -> Result<Decoded, AudioError> {
    guard(name, || read_all(Box::new(Cursor::new(bytes)), name, max_samples))
}

/// The last net under the decoders we did not write: their panics on hostile bytes become errors.
pub(super) fn guard<T>(path: &Path, job: impl FnOnce() -> Result<T, AudioError>) -> Result<T, AudioError> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| {
        Err(AudioError::Damaged { path: path.to_owned(), reason: "the decoder gave up on it".to_owned() })
    })
}

fn read_all(source: Box<dyn MediaSource>, path: &Path, max_samples: u64) -> Result<Decoded, AudioError> {
    let mut reader = Reader::open(source, path)?;
    let mut channels: Vec<Vec<f32>> = Vec::new();
    let mut block = Vec::new();
    let (mut good, mut bad, mut cut) = (0u64, 0u64, None);
    loop {
        match reader.next(&mut block)? {
            Step::Samples => {
                good += 1;
                let rate = reader.info.map_or(NOMINAL_RATE, |info| info.sample_rate);
                let limit = max_samples / u64::from(NOMINAL_RATE.div_ceil(rate));
                append(&mut channels, &block, path, limit)?;
            }
            Step::Bad => bad += 1,
            Step::End => break,
            Step::Cut(reason) => {
                cut = Some(reason);
                break;
            }
        }
    }
    let frames = channels.first().map_or(0, Vec::len) as u64;
    let Some(info) = reader.info.filter(|_| frames > 0) else {
        return Err(reader.nothing_decoded());
    };
    if bad > good {
        let reason = format!("{bad} of {} packets do not decode", bad + good);
        return Err(AudioError::Damaged { path: path.to_owned(), reason });
    }

    let mut warnings = Vec::new();
    let slack = if reader.counts_frames() { 0 } else { info.frames.unwrap_or(0) / 50 };
    let claimed = info.frames.filter(|claimed| *claimed > frames + slack);
    if cut.is_some() || (bad == 0 && claimed.is_some()) {
        warnings.push(Warning::Truncated { frames, claimed });
    }
    if bad > 0 {
        warnings.push(Warning::Skipped { packets: bad, total: bad + good });
    }
    Ok(Decoded { audio: Audio { sample_rate: info.sample_rate, channels }, warnings })
}

fn append(channels: &mut Vec<Vec<f32>>, block: &[Vec<f32>], path: &Path, max_samples: u64) -> Result<(), AudioError> {
    let Some(first) = block.first() else { return Ok(()) };
    channels.resize_with(block.len(), Vec::new);
    let frames = channels[0].len();
    if (frames + first.len()) as u64 * block.len() as u64 > max_samples {
        return Err(AudioError::TooLong { path: path.to_owned(), limit: max_samples });
    }
    for (channel, samples) in channels.iter_mut().zip(block) {
        if let Some(position) = samples.iter().position(|sample| !sample.is_finite()) {
            let reason = format!("sample {} is {}", frames + position, samples[position]);
            return Err(AudioError::Damaged { path: path.to_owned(), reason });
        }
        channel.extend_from_slice(samples);
    }
    Ok(())
}
