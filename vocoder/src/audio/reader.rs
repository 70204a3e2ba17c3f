//! One open sound file: container, codec, and the next block of samples.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::decode::guard;
use super::opus::OpusDecoder;
use super::shared::Shared;
use super::{AudioError, edit_list, flac};

/// Rates above this are taken for a lie of the header.
const MAX_SAMPLE_RATE: u32 = 768_000;
/// Channel counts above this are taken for a lie of the header.
const MAX_CHANNELS: usize = 256;
/// A packet may decode to this many samples over all channels: far more than any codec's, far less than memory.
const MAX_PACKET_SAMPLES: u64 = 1 << 24;
/// After this many packets in a row of another rate or channel count, the file is one that changes, not one with a
/// damaged packet.
const MAX_STRAY_PACKETS: usize = 8;

static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut registry = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut registry);
    registry.register_audio_decoder::<OpusDecoder>();
    registry
});

/// What a sound file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Samples a second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Samples of each channel as the header claims or the container estimates; nothing has verified it.
    pub frames: Option<u64>,
}

/// Reads the header and the first packet of a sound file, which is cheap whatever its length.
pub fn probe(path: &Path) -> Result<Info, AudioError> {
    guard(path, || {
        let mut reader = Reader::open(open_file(path)?, path)?;
        let mut block = Vec::new();
        while reader.info.is_none() {
            if !matches!(reader.next(&mut block)?, Step::Samples | Step::Bad) {
                return Err(reader.nothing_decoded());
            }
        }
        reader.info.ok_or_else(|| reader.nothing_decoded())
    })
}

/// Opens a file that holds at least one byte.
pub(super) fn open_file(path: &Path) -> Result<Box<dyn MediaSource>, AudioError> {
    let unreadable = |source| AudioError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(io::Error::from(ErrorKind::IsADirectory)));
    }
    Ok(Box::new(file))
}

/// What [`Reader::next`] found.
pub(super) enum Step {
    /// A block of samples.
    Samples,
    /// A packet that cannot be decoded, or does not belong here.
    Bad,
    /// The end.
    End,
    /// The data stop before their end.
    Cut(String),
}

/// An open sound file.
pub(super) struct Reader {
    path: PathBuf,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    claimed_frames: Option<u64>,
    /// What mp4 says is to be heard of the decoded frames, and how many have been decoded.
    heard: Range<u64>,
    position: u64,
    stray_packets: usize,
    first_problem: Option<String>,
    /// Known once the first packet is decoded: headers lie, and some codecs' say nothing.
    pub info: Option<Info>,
}

impl Reader {
    /// Finds the format from the content and opens its first audio track.
    pub fn open(mut source: Box<dyn MediaSource>, path: &Path) -> Result<Self, AudioError> {
        let unreadable = |source| AudioError::Unreadable { path: path.to_owned(), source };
        let mut head = Vec::new();
        source.by_ref().take(16).read_to_end(&mut head).map_err(unreadable)?;
        if head.is_empty() {
            return Err(AudioError::Empty { path: path.to_owned() });
        }
        let edit = if head.get(4..8) == Some(b"ftyp") { edit_list::first_sample(source.as_mut()) } else { None };
        source.seek(SeekFrom::Start(0)).map_err(unreadable)?;

        let source = Shared::new(source);
        let format = find_format(Box::new(source.clone())).or_else(|error| match error {
            Error::IoError(source) if source.kind() != ErrorKind::UnexpectedEof => Err(unreadable(source)),
            error => find_repaired_flac(&head, source).ok_or_else(|| match error {
                error if has_known_signature(&head) => classify(path, &error),
                _ => AudioError::NotAudio { path: path.to_owned() },
            }),
        })?;
        let track = format.default_track(TrackType::Audio).ok_or_else(|| AudioError::Unsupported {
            path: path.to_owned(),
            what: format!("a {} file without an audio track of a known codec", format.format_info().long_name),
        })?;
        let id = track.id;
        let mut claimed_frames = claimed_frames(track);
        let mut heard = 0..u64::MAX;
        if let (Some((start, scale)), Some(frames), Some(CodecParameters::Audio(parameters))) =
            (edit, claimed_frames, &track.codec_params)
            && parameters.sample_rate == Some(scale)
            && start < frames
        {
            heard = start..frames;
            claimed_frames = Some(frames - start);
        }
        let decoder = make_decoder(track, path)?;
        Ok(Self {
            path: path.to_owned(),
            format,
            decoder,
            track: id,
            claimed_frames,
            heard,
            position: 0,
            stray_packets: 0,
            first_problem: None,
            info: None,
        })
    }

    /// Replaces `block` by the next samples, one vector a channel.
    pub fn next(&mut self, block: &mut Vec<Vec<f32>>) -> Result<Step, AudioError> {
        let packet = loop {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => break packet,
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Step::End),
                Err(Error::ResetRequired) => self.follow_chain()?,
                Err(Error::IoError(source)) if source.kind() != ErrorKind::UnexpectedEof => {
                    return Err(AudioError::Unreadable { path: self.path.clone(), source });
                }
                Err(error) => {
                    self.first_problem.get_or_insert_with(|| error.to_string());
                    return Ok(Step::Cut(error.to_string()));
                }
            }
        };
        let decoded = match self.decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.first_problem.get_or_insert_with(|| error.to_string());
                return Ok(Step::Bad);
            }
        };
        let (sample_rate, channels) = (decoded.spec().rate(), decoded.num_planes());
        if decoded.frames() == 0 {
            block.clear();
            return Ok(Step::Samples);
        }
        let Some(info) = self.info else {
            check_layout(sample_rate, channels, &self.path)?;
            self.info = Some(Info { sample_rate, channels, frames: self.claimed_frames });
            decoded.copy_to_vecs_planar(block);
            self.keep_heard(block);
            return Ok(Step::Samples);
        };
        if (info.sample_rate, info.channels) != (sample_rate, channels) {
            self.stray_packets += 1;
            if self.stray_packets >= MAX_STRAY_PACKETS {
                let what = format!(
                    "the sound changes from {} channels at {} Hz to {channels} at {sample_rate} Hz",
                    info.channels, info.sample_rate
                );
                return Err(AudioError::Unsupported { path: self.path.clone(), what });
            }
            return Ok(Step::Bad);
        }
        self.stray_packets = 0;
        decoded.copy_to_vecs_planar(block);
        self.keep_heard(block);
        Ok(Step::Samples)
    }

    fn keep_heard(&mut self, block: &mut [Vec<f32>]) {
        let frames = block.first().map_or(0, Vec::len) as u64;
        let within = |position: u64| position.saturating_sub(self.position).min(frames) as usize;
        let (start, end) = (within(self.heard.start), within(self.heard.end));
        self.position += frames;
        if (start, end as u64) != (0, frames) {
            for channel in block {
                channel.truncate(end);
                channel.drain(..start.min(end));
            }
        }
    }

    /// Whether the container counts its frames, and does not estimate them from its bytes.
    pub fn counts_frames(&self) -> bool {
        !matches!(self.format.format_info().short_name, "mp1" | "mp2" | "mp3" | "aac")
    }

    /// The error for a file that gave no samples.
    pub fn nothing_decoded(&self) -> AudioError {
        match &self.first_problem {
            Some(reason) => AudioError::Damaged { path: self.path.clone(), reason: reason.clone() },
            None => AudioError::Empty { path: self.path.clone() },
        }
    }

    /// Goes on with the next stream of a chained Ogg file, as internet radio recorders write them.
    fn follow_chain(&mut self) -> Result<(), AudioError> {
        let Some(track) = self.format.default_track(TrackType::Audio) else {
            let what = "a chained file whose next part has no audio track".to_owned();
            return Err(AudioError::Unsupported { path: self.path.clone(), what });
        };
        self.decoder = make_decoder(track, &self.path)?;
        self.track = track.id;
        self.claimed_frames = None;
        Ok(())
    }
}

/// The frames that the container claims to be heard. Ogg gives the position of its last frame, which counts frames
/// cut from the start of a recorded broadcast and, for Opus, the pre-skip.
fn claimed_frames(track: &Track) -> Option<u64> {
    let is_opus = matches!(&track.codec_params, Some(CodecParameters::Audio(audio)) if audio.codec == CODEC_ID_OPUS);
    let pre_skip = if is_opus { track.delay.unwrap_or(0) } else { 0 };
    let before = u64::try_from(track.start_ts.get()).unwrap_or(0) + u64::from(pre_skip);
    track.num_frames.map(|frames| frames.saturating_sub(before))
}

fn find_format(source: Box<dyn MediaSource>) -> symphonia::core::errors::Result<Box<dyn FormatReader>> {
    let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
    symphonia::default::get_probe().probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
}

/// Reads as FLAC what could not be opened, and is of no other known format.
fn find_repaired_flac(head: &[u8], source: Shared) -> Option<Box<dyn FormatReader>> {
    let is_other = has_known_signature(head) && !head.starts_with(b"fLaC") && !head.starts_with(b"ID3");
    if is_other { None } else { find_format(flac::repaired(Box::new(source))?).ok() }
}

fn make_decoder(track: &Track, path: &Path) -> Result<Box<dyn AudioDecoder>, AudioError> {
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
        let what = "an audio track without codec parameters".to_owned();
        return Err(AudioError::Unsupported { path: path.to_owned(), what });
    };
    check_parameters(parameters, path)?;
    CODECS
        .make_audio_decoder(parameters, &AudioDecoderOptions::default().gapless(true))
        .map_err(|error| classify(path, &error))
}

/// Decoders size their buffers by these numbers, so they are checked first.
fn check_parameters(parameters: &AudioCodecParameters, path: &Path) -> Result<(), AudioError> {
    let channels = parameters.channels.as_ref().map_or(1, Channels::count);
    check_layout(parameters.sample_rate.unwrap_or(1), channels, path)?;
    let frames = parameters.max_frames_per_packet.unwrap_or(0).max(parameters.frames_per_block.unwrap_or(0));
    if frames.saturating_mul(channels as u64) > MAX_PACKET_SAMPLES {
        let reason = format!("packets of {frames} frames with {channels} channels");
        return Err(AudioError::Damaged { path: path.to_owned(), reason });
    }
    Ok(())
}

fn check_layout(sample_rate: u32, channels: usize, path: &Path) -> Result<(), AudioError> {
    if (1..=MAX_SAMPLE_RATE).contains(&sample_rate) && (1..=MAX_CHANNELS).contains(&channels) {
        return Ok(());
    }
    let what = format!(
        "{channels} channels at {sample_rate} Hz (1 to {MAX_CHANNELS} channels, 1 to {MAX_SAMPLE_RATE} Hz can be read)"
    );
    Err(AudioError::Unsupported { path: path.to_owned(), what })
}

fn classify(path: &Path, error: &Error) -> AudioError {
    match error {
        Error::Unsupported(what) => AudioError::Unsupported { path: path.to_owned(), what: (*what).to_owned() },
        error => AudioError::Damaged { path: path.to_owned(), reason: error.to_string() },
    }
}

/// Whether a file that could not be opened was meant to be a sound.
fn has_known_signature(head: &[u8]) -> bool {
    let starts = [&b"RIFF"[..], b"RF64", b"fLaC", b"OggS", b"ID3", b"FORM", b"caff", b"\x1a\x45\xdf\xa3"];
    starts.iter().any(|signature| head.starts_with(signature)) || head.get(4..8) == Some(b"ftyp")
}
