//! FLAC files whose metadata cannot be trusted (RFC 9639): the frames tell on their own what they hold.

use std::io::{Cursor, Read, Seek, SeekFrom};

use symphonia::core::io::{MediaSource, ReadOnlySource};

/// How far the stream marker, and then the first frame, are searched for.
const REACH: u64 = 1 << 20;
/// No real file has more metadata blocks.
const MAX_BLOCKS: usize = 1000;
/// The bytes of a STREAMINFO block.
const STREAM_INFO: usize = 34;
/// A frame's successor is among this many headers behind it; the others are chance.
const CHANCE_HEADERS: usize = 8;

/// The frames of a FLAC file behind a new STREAMINFO block, which is all that a decoder needs. `None` where no frames
/// are found: two that follow each other, or one where the metadata end.
pub(super) fn repaired(mut source: Box<dyn MediaSource>) -> Option<Box<dyn MediaSource>> {
    let metadata = Metadata::read(&mut source)?;
    // Metadata that break off are not to be followed to where they lead, if frames begin before.
    let [first, second] =
        if metadata.is_whole { [metadata.end, metadata.first_block] } else { [metadata.first_block, metadata.end] };
    let (start, frame) = match first_frame(&mut source, first, metadata.is_whole) {
        Some(found) => found,
        None => first_frame(&mut source, second, false)?,
    };
    let mut head = b"fLaC\x80\0\0\x22".to_vec();
    head.extend(frame.stream_info(metadata.stream_info.as_ref())?);
    source.seek(SeekFrom::Start(start)).ok()?;
    Some(Box::new(ReadOnlySource::new(Cursor::new(head).chain(source))))
}

/// Where the metadata lie.
struct Metadata {
    /// Behind the STREAMINFO block or, without one, behind the stream marker, or at the start of the file.
    first_block: u64,
    /// Behind the last block, or at the first one that cannot be.
    end: u64,
    /// Whether there is a last block.
    is_whole: bool,
    stream_info: Option<[u8; STREAM_INFO]>,
}

impl Metadata {
    fn read(source: &mut (impl Read + Seek)) -> Option<Self> {
        let length = source.seek(SeekFrom::End(0)).ok()?;
        let marker = window(source, 0)?.windows(4).position(|bytes| bytes == b"fLaC");
        let start = marker.map_or(0, |position| position as u64 + 4);
        let mut found = Self { first_block: start, end: start, is_whole: false, stream_info: None };
        if marker.is_none() {
            return Some(found);
        }
        for _ in 0..MAX_BLOCKS {
            let mut header = [0; 4];
            source.seek(SeekFrom::Start(found.end)).ok()?;
            if source.read_exact(&mut header).is_err() {
                break;
            }
            let kind = header[0] & 0x7F;
            let next = found.end + 4 + u64::from(u32::from_be_bytes([0, header[1], header[2], header[3]]));
            if kind == 0x7F || next > length {
                break;
            }
            if kind == 0 && next - found.end == 4 + STREAM_INFO as u64 && found.stream_info.is_none() {
                let mut block = [0; STREAM_INFO];
                source.read_exact(&mut block).ok()?;
                found.stream_info = Some(block);
                found.first_block = next;
            }
            found.end = next;
            if header[0] & 0x80 != 0 {
                found.is_whole = true;
                break;
            }
        }
        Some(found)
    }
}

/// At most [`REACH`] bytes from `start` on.
fn window(source: &mut (impl Read + Seek), start: u64) -> Option<Vec<u8>> {
    source.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    source.take(REACH).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The first frame from `start` on that another one follows, or the one at `start` itself where it `is_certain` that
/// frames begin there.
fn first_frame(source: &mut (impl Read + Seek), start: u64, is_certain: bool) -> Option<(u64, Frame)> {
    let bytes = window(source, start)?;
    let syncs = bytes.windows(2).enumerate().filter(|(_, pair)| pair[0] == 0xFF && pair[1] & 0xFE == 0xF8);
    let mut frames: Vec<(u64, Frame)> = Vec::new();
    for (position, _) in syncs {
        let Some(frame) = Frame::read(&bytes[position..]) else { continue };
        if position == 0 && is_certain {
            return Some((start, frame));
        }
        let before = frames.iter().rev().take(CHANCE_HEADERS);
        if let Some((position, first)) = before.rev().find(|(_, before)| frame.follows(before)) {
            return Some((*position, *first));
        }
        frames.push((start + position as u64, frame));
    }
    None
}

/// What a frame header says (RFC 9639 §9.1). The rate and the bits may be left to the STREAMINFO block.
#[derive(Clone, Copy)]
struct Frame {
    rate: Option<u32>,
    channels: u8,
    bits: Option<u8>,
    samples: u32,
    /// Whether `number` counts samples, and blocks may be of any length; otherwise it counts frames.
    is_variable: bool,
    number: u64,
}

impl Frame {
    /// Reads a header with a valid checksum.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (is_variable, sizes, layout) = (bytes.get(1)? & 1 == 1, *bytes.get(2)?, *bytes.get(3)?);
        let mut rest = bytes.get(4..)?;
        let number = coded_number(&mut rest)?;
        let mut take = |count: usize| {
            let (value, behind) = rest.split_at_checked(count)?;
            rest = behind;
            Some(value.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
        };
        let samples = match sizes >> 4 {
            0 => return None,
            1 => 192,
            code @ 2..=5 => 144 << code,
            6 => take(1)? + 1,
            7 => take(2)? + 1,
            code => 1 << code,
        };
        let rate = match sizes & 15 {
            0 => None,
            12 => Some(take(1)? * 1000),
            13 => Some(take(2)?),
            14 => Some(take(2)? * 10),
            15 => return None,
            code => Some(
                [88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]
                    [usize::from(code) - 1],
            ),
        };
        let channels = match layout >> 4 {
            code @ 0..=7 => code + 1,
            8..=10 => 2,
            _ => return None,
        };
        let bits = match layout & 15 {
            0 => None,
            2 => Some(8),
            4 => Some(12),
            8 => Some(16),
            10 => Some(20),
            12 => Some(24),
            14 => Some(32),
            _ => return None,
        };
        let checksum = take(1)?;
        let header = &bytes[..bytes.len() - rest.len() - 1];
        (u32::from(crc8(header)) == checksum).then_some(Self { rate, channels, bits, samples, is_variable, number })
    }

    fn follows(&self, before: &Self) -> bool {
        let step = if before.is_variable { u64::from(before.samples) } else { 1 };
        let shape = |frame: &Self| (frame.rate, frame.channels, frame.bits, frame.is_variable);
        shape(self) == shape(before) && self.number == before.number + step
    }

    /// A STREAMINFO block for a stream of such frames. Only what the frame leaves out, and the length, are taken from
    /// the file's own block.
    fn stream_info(&self, own: Option<&[u8; STREAM_INFO]>) -> Option<[u8; STREAM_INFO]> {
        let own_layout = own.map(|block| u32::from_be_bytes([block[10], block[11], block[12], block[13]]));
        let rate = self.rate.or(own_layout.map(|layout| layout >> 12))?;
        let bits = self.bits.map(u32::from).or(own_layout.map(|layout| (layout >> 4 & 31) + 1))?;
        let blocks = if self.is_variable { [16, u16::MAX] } else { [u16::try_from(self.samples).ok()?; 2] };
        let layout = rate << 12 | u32::from(self.channels - 1) << 9 | (bits - 1) << 4;

        let mut block = [0; STREAM_INFO];
        block[..2].copy_from_slice(&blocks[0].to_be_bytes());
        block[2..4].copy_from_slice(&blocks[1].to_be_bytes());
        block[10..14].copy_from_slice(&layout.to_be_bytes());
        if let Some(own) = own {
            block[13] |= own[13] & 15;
            block[14..18].copy_from_slice(&own[14..18]);
        }
        Some(block)
    }
}

/// A frame or sample number, coded as UTF-8 codes characters but with up to 36 bits.
fn coded_number(bytes: &mut &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    let others = match first.leading_ones() {
        0 => 0,
        1 | 8 => return None,
        ones => ones as usize - 1,
    };
    let (others, rest) = rest.split_at_checked(others)?;
    *bytes = rest;
    let start = u64::from(*first) & (0x7F >> first.leading_ones());
    others.iter().try_fold(start, |number, byte| (byte >> 6 == 2).then_some(number << 6 | u64::from(byte & 63)))
}

/// The checksum of frame headers: polynomial x⁸ + x² + x + 1.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 7 })
    })
}
