//! Where the sound of an mp4 file begins: the edit list (ISO/IEC 14496-12 §8.6.6), which symphonia does not read.
//!
//! AAC encoders put a block of priming samples first (often 1024 or 2112) and let the edit list skip it.

use std::io::{self, Read, Seek, SeekFrom};

/// No real file nests or lists more boxes than this.
const MAX_BOXES: usize = 10_000;

/// The first sample of the first audio track that is to be heard, and the track's time scale, which for audio is
/// the sample rate. `None` where there is no edit list, or none that can be read. Leaves the source anywhere.
pub(super) fn first_sample(source: &mut (impl Read + Seek + ?Sized)) -> Option<(u64, u32)> {
    let end = source.seek(SeekFrom::End(0)).ok()?;
    let moov = children(source, 0, end)?.into_iter().find(|found| &found.kind == b"moov")?;
    for track in children(source, moov.start, moov.end)?.into_iter().filter(|found| &found.kind == b"trak") {
        let parts = children(source, track.start, track.end)?;
        let media = parts.iter().find(|found| &found.kind == b"mdia")?;
        let media = children(source, media.start, media.end)?;
        let handler = payload::<12>(source, media.iter().find(|found| &found.kind == b"hdlr")?)?;
        if !handler.ends_with(b"soun") {
            continue;
        }
        let edits = parts.iter().find(|found| &found.kind == b"edts")?;
        let edits = children(source, edits.start, edits.end)?;
        let start = media_time(source, edits.iter().find(|found| &found.kind == b"elst")?)?;
        let scale = time_scale(source, media.iter().find(|found| &found.kind == b"mdhd")?)?;
        return Some((start, scale));
    }
    None
}

struct Box4 {
    kind: [u8; 4],
    start: u64,
    end: u64,
}

fn children(source: &mut (impl Read + Seek + ?Sized), mut position: u64, end: u64) -> Option<Vec<Box4>> {
    let mut found = Vec::new();
    while position + 8 <= end && found.len() < MAX_BOXES {
        let header = bytes_at::<8>(source, position).ok()?;
        let (size, kind) = (u32::from_be_bytes(*header.first_chunk()?), *header.last_chunk::<4>()?);
        let (head, size) = match size {
            0 => (8, end - position),
            1 => (16, u64::from_be_bytes(bytes_at(source, position + 8).ok()?)),
            size => (8, u64::from(size)),
        };
        let next = position.checked_add(size).filter(|next| *next <= end && size >= head)?;
        found.push(Box4 { kind, start: position + head, end: next });
        position = next;
    }
    Some(found)
}

/// The start of the first edit that is not empty: version 0 has 32-bit and version 1 64-bit times.
fn media_time(source: &mut (impl Read + Seek + ?Sized), list: &Box4) -> Option<u64> {
    let head = payload::<8>(source, list)?;
    let entries = u64::from(u32::from_be_bytes(*head.last_chunk()?)).min(16);
    let entry = if head[0] == 1 { 20 } else { 12 };
    for index in 0..entries {
        let position = list.start + 8 + index * entry;
        let time = if head[0] == 1 {
            i64::from_be_bytes(bytes_at(source, position + 8).ok()?)
        } else {
            i64::from(i32::from_be_bytes(bytes_at(source, position + 4).ok()?))
        };
        if let Ok(time) = u64::try_from(time) {
            return Some(time);
        }
    }
    None
}

fn time_scale(source: &mut (impl Read + Seek + ?Sized), header: &Box4) -> Option<u32> {
    let version = payload::<1>(source, header)?[0];
    let offset = if version == 1 { 20 } else { 12 };
    Some(u32::from_be_bytes(bytes_at(source, header.start + offset).ok()?))
}

fn payload<const N: usize>(source: &mut (impl Read + Seek + ?Sized), from: &Box4) -> Option<[u8; N]> {
    bytes_at(source, from.start).ok()
}

fn bytes_at<const N: usize>(source: &mut (impl Read + Seek + ?Sized), position: u64) -> io::Result<[u8; N]> {
    source.seek(SeekFrom::Start(position))?;
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}
