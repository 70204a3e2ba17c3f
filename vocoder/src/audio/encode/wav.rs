//! WAV through hound.

use std::io::{self, Seek, SeekFrom, Write};
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

/// A 16-bit WAV file that is written piece after piece, to where nothing can be gone back to: a pipe, or a file that is read
/// meanwhile. It is the file that [`Audio::write`] makes.
pub struct WavStream<W> {
    out: W,
    spec: WavSpec,
    /// Samples of each channel that the header promises.
    promised: u64,
    written: u64,
}

impl<W: Write> WavStream<W> {
    /// Writes the header of so many samples of each channel.
    ///
    /// # Errors
    ///
    /// If the file would be longer than 4 GiB, or cannot be written.
    pub fn begin(mut out: W, sample_rate: u32, channels: u16, samples: u64) -> io::Result<Self> {
        let spec = WavSpec { channels, sample_rate, bits_per_sample: 16, sample_format: HoundFormat::Int };
        out.write_all(&header(spec, samples)?)?;
        out.flush()?;
        Ok(Self { out, spec, promised: samples, written: 0 })
    }

    /// Writes the next samples of all channels, so that they can be read at once.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub fn write(&mut self, channels: &[Vec<f32>]) -> io::Result<()> {
        let samples = channels.first().map_or(0, Vec::len);
        let mut bytes = Vec::with_capacity(2 * samples * channels.len());
        for sample in 0..samples {
            for channel in channels {
                bytes.extend_from_slice(&(to_integer(channel[sample], 16) as i16).to_le_bytes());
            }
        }
        self.out.write_all(&bytes)?;
        self.written += samples as u64;
        self.out.flush()
    }

    /// Whether all that the header promises is there.
    pub fn is_whole(&self) -> bool {
        self.written == self.promised
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write + Seek> WavStream<W> {
    /// Puts the header right, where there are fewer samples than it promises.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn shorten(&mut self) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(self.spec, self.written)?)?;
        self.promised = self.written;
        self.out.flush()
    }
}

/// The first bytes of a file.
fn header(spec: WavSpec, samples: u64) -> io::Result<Vec<u8>> {
    let bytes = samples * u64::from(spec.channels) * u64::from(spec.bits_per_sample / 8);
    if bytes > MAX_BYTES {
        return Err(io::Error::other(format!("{bytes} bytes of samples; a wav file ends at 4 GiB")));
    }
    let mut header = spec.into_header_for_infinite_file();
    // The size of all that follows it, and, last, that of the samples.
    let (whole, last) = (header.len() as u32 - 8 + bytes as u32, header.len() - 4);
    header[4..8].copy_from_slice(&whole.to_le_bytes());
    header[last..].copy_from_slice(&(bytes as u32).to_le_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Cursor;

    use super::*;

    /// What `Audio::write` makes of these channels.
    fn whole(channels: &[Vec<f32>]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        Audio { sample_rate: 32_000, channels: channels.to_vec() }.write(&path).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn pieces_are_the_file_that_is_written_at_once() {
        for count in [1, 2, 3] {
            let channel = |index: usize| (0..50).map(|sample| ((sample * 7 + index) as f32).sin() * 1.2).collect();
            let channels: Vec<Vec<f32>> = (0..count).map(channel).collect();
            let mut stream = WavStream::begin(Cursor::new(Vec::new()), 32_000, count as u16, 50).unwrap();
            for start in [0, 20, 40] {
                let end = 50.min(start + 20);
                stream.write(&channels.iter().map(|of| of[start..end].to_vec()).collect::<Vec<_>>()).unwrap();
            }
            assert!(stream.is_whole());
            assert_eq!(stream.into_inner().into_inner(), whole(&channels));
        }
    }

    #[test]
    fn what_is_ended_early_says_how_long_it_is() {
        let mut stream = WavStream::begin(Cursor::new(Vec::new()), 32_000, 1, 50).unwrap();
        let channels = [vec![0.25; 30]];
        stream.write(&channels).unwrap();
        assert!(!stream.is_whole());
        stream.shorten().unwrap();
        assert_eq!(stream.into_inner().into_inner(), whole(&channels));
        assert!(WavStream::begin(Vec::new(), 32_000, 1, 1 << 31).is_err());
    }
}
