//! Writing sound files, after the extension of their path.

mod flac;
mod mp3;
mod wav;

use std::fs::Permissions;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use super::{Audio, AudioError};

pub use wav::WavStream;

/// How samples are stored in wav and flac.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleFormat {
    /// 16-bit integers.
    #[default]
    Int16,
    /// 24-bit integers.
    Int24,
    /// 32-bit floats (wav only).
    Float32,
}

pub(super) fn write(audio: &Audio, path: &Path, format: SampleFormat) -> Result<(), AudioError> {
    let frames = audio.frames();
    if frames == 0 {
        return Err(cannot(path, "a sound of no samples"));
    }
    assert!(
        audio.channels.iter().all(|channel| channel.len() == frames),
        "channels of different lengths: {:?}",
        audio.channels.iter().map(Vec::len).collect::<Vec<_>>()
    );
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "wav" => atomically(path, |file| wav::write(audio, file, path, format)),
        "flac" => atomically(path, |file| flac::write(audio, file, path, format)),
        "mp3" => atomically(path, |file| mp3::write(audio, file, path)),
        _ => Err(cannot(path, format!("the extension is `{extension}`, not wav, flac or mp3"))),
    }
}

/// Writes to a temporary file in the same folder, which takes its name when it is complete and on the disk.
fn atomically(path: &Path, job: impl FnOnce(&mut dyn Output) -> Result<(), AudioError>) -> Result<(), AudioError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    let mut file = builder.prefix(".nocturne-").suffix(".tmp").tempfile_in(folder).map_err(unwritable(path))?;
    let mut buffer = BufWriter::new(file.as_file_mut());
    job(&mut buffer)?;
    buffer.flush().map_err(unwritable(path))?;
    drop(buffer);
    file.as_file().sync_all().map_err(unwritable(path))?;
    file.persist(path).map_err(|error| unwritable(path)(error.error))?;
    Ok(())
}

/// Where an encoder writes: hound goes back to complete its header.
trait Output: Write + Seek {}
impl<T: Write + Seek> Output for T {}

/// Full scale is 2^(bits−1), the divisor of decoding; +1 itself becomes the largest integer. NaN becomes 0.
fn to_integer(sample: f32, bits: u32) -> i32 {
    let scale = f64::from(1u32 << (bits - 1));
    (f64::from(sample) * scale).round_ties_even().clamp(-scale, scale - 1.0) as i32
}

/// All samples frame by frame.
fn interleaved(audio: &Audio) -> impl Iterator<Item = f32> {
    (0..audio.frames()).flat_map(|frame| audio.channels.iter().map(move |channel| channel[frame]))
}

fn cannot(path: &Path, reason: impl Into<String>) -> AudioError {
    AudioError::CannotEncode { path: path.to_owned(), reason: reason.into() }
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> AudioError {
    move |source| AudioError::Unwritable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_clamp_and_never_wrap() {
        assert_eq!(to_integer(1.0, 16), 32_767);
        assert_eq!(to_integer(7.5, 16), 32_767);
        assert_eq!(to_integer(-1.0, 16), -32_768);
        assert_eq!(to_integer(f32::NEG_INFINITY, 24), -8_388_608);
        assert_eq!(to_integer(f32::NAN, 16), 0);
        for value in i16::MIN..=i16::MAX {
            assert_eq!(to_integer(f32::from(value) / 32_768.0, 16), i32::from(value));
        }
    }
}
