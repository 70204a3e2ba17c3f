//! Arrays of any float type, as 64-bit values.

use std::fs;
use std::path::Path;

use half::f16;

use super::header::{Fault, Header, LONGEST_HEADER, header_text};
use super::{Array, Element, NpyError, to_c_order};

/// Reads a file of `f2`, `f4`, `f8` or `i8`.
pub fn floats(path: &Path) -> Result<Array<f64>, NpyError> {
    let bytes = fs::read(path).map_err(|source| NpyError::Io { path: path.to_owned(), source })?;
    floats_of(&bytes, path)
}

/// [`floats`] of a file that is already in memory. `name` stands for its path in errors.
pub fn floats_of(bytes: &[u8], name: &Path) -> Result<Array<f64>, NpyError> {
    let start = &bytes[..bytes.len().min(LONGEST_HEADER + 12)];
    let (text, offset) = header_text(start).map_err(|fault| fault.at(name))?;
    let Header { descr, fortran_order, shape } = Header::parse(text).map_err(|fault| fault.at(name))?;
    let data = &bytes[offset..];
    let (size, decode): (usize, fn(&[u8]) -> f64) = match descr.as_str() {
        f16::DESCR => (f16::SIZE, |bytes| f16::from_bytes(bytes).to_f64()),
        f32::DESCR => (f32::SIZE, |bytes| f64::from(f32::from_bytes(bytes))),
        f64::DESCR => (f64::SIZE, f64::from_bytes),
        i64::DESCR => (i64::SIZE, |bytes| i64::from_bytes(bytes) as f64),
        other => return Err(Fault::new("descr", other, "<f2, <f4, <f8 or <i8").at(name)),
    };
    let expected = shape.iter().try_fold(size as u64, |bytes, length| bytes.checked_mul(*length as u64));
    if expected != Some(data.len() as u64) {
        let (expected, found) = (expected.unwrap_or(u64::MAX), data.len() as u64);
        return Err(NpyError::Length { path: name.to_owned(), shape, expected, found });
    }
    let values: Vec<f64> = data.chunks_exact(size).map(decode).collect();
    let values = if fortran_order { to_c_order(&shape, &values) } else { values };
    Ok(Array { shape, values })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::encode;
    use super::*;

    #[test]
    fn every_float_type_reads_as_itself() {
        let name = Path::new("a.npy");
        let values = [0.5, -2.0, 1024.0];
        let expected = Array { shape: vec![3, 1], values: values.to_vec() };
        assert_eq!(floats_of(&encode(&[3, 1], &values), name).unwrap(), expected);
        assert_eq!(floats_of(&encode(&[3, 1], &values.map(|value| value as f32)), name).unwrap(), expected);
        assert_eq!(floats_of(&encode(&[3, 1], &values.map(f16::from_f64)), name).unwrap(), expected);
        assert_eq!(floats_of(&encode(&[2], &[3_i64, -4]), name).unwrap().values, [3.0, -4.0]);
    }

    /// Written by `numpy.save` from `numpy.asfortranarray`.
    #[test]
    fn the_order_of_the_file_does_not_show() {
        let bytes = include_bytes!("../../tests/fixtures/npy/fortran_order.npy");
        let read = floats_of(bytes, Path::new("a.npy")).unwrap();
        assert_eq!((read.shape, read.values[1], read.values[23]), (vec![2, 3, 4], 1.0, 123.0));
    }

    #[test]
    fn cut_and_lying_files_are_refused() {
        let bytes = encode(&[2, 2], &[1.0_f32; 4]);
        for length in 0..bytes.len() {
            assert!(floats_of(&bytes[..length], Path::new("a.npy")).is_err(), "{length}");
        }
        let text = String::from_utf8_lossy(&bytes).replace("<f4", ">f4").replace('\u{fffd}', "");
        assert!(floats_of(text.as_bytes(), Path::new("a.npy")).is_err());
    }
}
