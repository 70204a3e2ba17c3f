//! The framing of `TensorFlow`'s record files: length, masked CRC-32C of the length, data, masked CRC-32C of the data.

use std::io::{self, Write};

const MASK: u32 = 0xa282_ead8;
const HEADER: usize = 12;
const FOOTER: usize = 4;

/// Writes one record.
pub fn write_record(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(HEADER + data.len() + FOOTER);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    out.write_all(&record)
}

/// The whole records at the start of `bytes`, each with the offset of its end; stops before the first torn or damaged
/// one.
pub fn records(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let (length, rest) = bytes[offset..].split_first_chunk::<8>()?;
        let (length_crc, rest) = rest.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let (data_crc, _) = rest.split_first_chunk::<4>()?;
        let whole =
            u32::from_le_bytes(*length_crc) == masked_crc(length) && u32::from_le_bytes(*data_crc) == masked_crc(data);
        offset += HEADER + data.len() + FOOTER;
        whole.then_some((offset, data))
    })
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn two_records() -> Vec<u8> {
        let mut bytes = Vec::new();
        write_record(&mut bytes, b"first").unwrap();
        write_record(&mut bytes, b"").unwrap();
        bytes
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let bytes = two_records();
        let found: Vec<_> = records(&bytes).collect();
        assert_eq!(found, [(21, b"first".as_slice()), (37, b"".as_slice())]);
    }

    #[test]
    fn stops_at_damage_and_at_a_torn_end() {
        let whole = two_records();
        assert_eq!(records(&whole[..30]).count(), 1);
        for position in 0..21 {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x10;
            assert_eq!(records(&bytes).count(), 0, "byte {position}");
        }
        // A length that claims far more than there is must end the reading, not allocate.
        assert_eq!(records(&[0xff; 40]).count(), 0);
    }
}
