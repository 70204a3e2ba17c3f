//! `NumPy`'s `.npy` files: format 1.0 to 3.0, little-endian `f2`, `f4`, `f8` and `i8`, C or Fortran order; and `.npz`, a zip of
//! them.
//!
//! The published readers parse the header with a general parser of Python literals, which recurses as deep as the file
//! asks. A header is one flat dictionary of three keys, and is read here as just that.

mod floats;
mod header;
mod mapped;
mod npz;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use floats::{floats, floats_of};
pub use mapped::Mapped;
pub use npz::{Npz, write_npz};

use header::{Fault, Header, LONGEST_HEADER, MAGIC, MOST_DIMENSIONS, header_text};
use nocturne_models::files::write_atomic;
use thiserror::Error;

/// Data starts at a multiple of this.
const ALIGNMENT: usize = 64;

/// Values in C order and their shape; an empty shape is one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<T> {
    /// The lengths of the dimensions, slowest first.
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub values: Vec<T>,
}

/// Why a file could not be read or written.
#[derive(Debug, Error)]
pub enum NpyError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The header is not one of a `.npy` file, or describes what is not supported.
    #[error("{path}: npy {field}: expected {expected}, found {found}")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        field: &'static str,
        /// What the file has.
        found: String,
        /// What can be read.
        expected: String,
    },
    /// There are fewer or more bytes than the shape asks for.
    #[error("{path}: shape {shape:?} needs {expected} bytes of data, found {found}")]
    Length {
        /// The file.
        path: PathBuf,
        /// The shape in the header.
        shape: Vec<usize>,
        /// Bytes the shape asks for.
        expected: u64,
        /// Bytes after the header.
        found: u64,
    },
    /// Not a zip of arrays.
    #[error("{path}: not an npz file: {reason}")]
    Zip {
        /// The file.
        path: PathBuf,
        /// What the zip reader said.
        reason: String,
    },
}

/// A number that `.npy` files hold.
pub trait Element: Copy {
    /// `NumPy`'s name of the type, such as `<f4`.
    const DESCR: &'static str;
    /// Bytes of one number.
    const SIZE: usize;
    /// From `SIZE` little-endian bytes.
    fn from_bytes(bytes: &[u8]) -> Self;
    /// Appends `SIZE` little-endian bytes.
    fn append(self, out: &mut Vec<u8>);
}

macro_rules! element {
    ($type:ty, $descr:literal) => {
        impl Element for $type {
            const DESCR: &'static str = $descr;
            const SIZE: usize = size_of::<$type>();

            fn from_bytes(bytes: &[u8]) -> Self {
                let mut own = [0; Self::SIZE];
                own.copy_from_slice(bytes);
                <$type>::from_le_bytes(own)
            }

            fn append(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    };
}
element!(half::f16, "<f2");
element!(f32, "<f4");
element!(f64, "<f8");
element!(i64, "<i8");

/// Reads `path`, whose type must be `T`. Nothing is allocated that the file's own length does not vouch for.
pub fn read<T: Element>(path: &Path) -> Result<Array<T>, NpyError> {
    let io = |source| NpyError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let total = file.metadata().map_err(io)?.len();
    let mut start = Vec::new();
    (&file).take((LONGEST_HEADER + 12) as u64).read_to_end(&mut start).map_err(io)?;
    let (text, offset) = header_text(&start).map_err(|fault| fault.at(path))?;
    let header = Header::parse(text).map_err(|fault| fault.at(path))?;
    if header.descr != T::DESCR {
        return Err(Fault::new("descr", &header.descr, T::DESCR).at(path));
    }
    let found = total.saturating_sub(offset as u64);
    let expected = header.shape.iter().try_fold(T::SIZE as u64, |bytes, length| bytes.checked_mul(*length as u64));
    if expected != Some(found) {
        let expected = expected.unwrap_or(u64::MAX);
        return Err(NpyError::Length { path: path.to_owned(), shape: header.shape, expected, found });
    }
    let mut data = start.split_off(offset);
    (&file).take(found - data.len() as u64).read_to_end(&mut data).map_err(io)?;
    let values: Vec<T> = data.chunks_exact(T::SIZE).map(T::from_bytes).collect();
    if values.len() as u64 * T::SIZE as u64 != found {
        // The file shrank while it was read.
        let found = data.len() as u64;
        return Err(NpyError::Length { path: path.to_owned(), shape: header.shape, expected: found, found });
    }
    let values = if header.fortran_order { to_c_order(&header.shape, &values) } else { values };
    Ok(Array { shape: header.shape, values })
}

/// Writes `values` of `shape` in C order as format 1.0, to a temporary name first.
///
/// # Panics
/// Where `shape` does not hold as many numbers as `values`, or has more than 32 dimensions.
pub fn write<T: Element>(path: &Path, shape: &[usize], values: &[T]) -> Result<(), NpyError> {
    write_atomic(path, &encode(shape, values)).map_err(|source| NpyError::Io { path: path.to_owned(), source })
}

/// The bytes of a file that [`write()`] writes.
///
/// # Panics
/// As [`write()`].
pub fn encode<T: Element>(shape: &[usize], values: &[T]) -> Vec<u8> {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "shape {shape:?} for {} values", values.len());
    assert!(shape.len() <= MOST_DIMENSIONS, "{} dimensions, at most {MOST_DIMENSIONS}", shape.len());
    let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let dictionary =
        format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{comma}), }}", T::DESCR, lengths.join(", "));
    let length = (MAGIC.len() + 4 + dictionary.len() + 1).next_multiple_of(ALIGNMENT) - MAGIC.len() - 4;
    let mut bytes = Vec::with_capacity(length + 10 + values.len() * T::SIZE);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&(length as u16).to_le_bytes());
    bytes.extend_from_slice(format!("{dictionary:<width$}\n", width = length - 1).as_bytes());
    for value in values {
        value.append(&mut bytes);
    }
    bytes
}

impl Fault {
    fn at(self, path: &Path) -> NpyError {
        NpyError::Header { path: path.to_owned(), field: self.field, found: self.found, expected: self.expected }
    }
}

/// Reorders values whose first dimension is the fastest.
fn to_c_order<T: Copy>(shape: &[usize], values: &[T]) -> Vec<T> {
    if values.is_empty() {
        return Vec::new();
    }
    let mut index = vec![0; shape.len()];
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        out.push(values[index.iter().zip(&strides).map(|(i, stride)| i * stride).sum::<usize>()]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nocturne_models::random::Random;

    use super::*;

    /// Reads `bytes` as a file.
    fn read_bytes<T: Element>(bytes: &[u8]) -> Result<Array<T>, NpyError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("array.npy");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    /// Written by `scripts/reference/npy.py`: `a[i, j, k] = 100 i + 10 j + k`, shape `(2, 3, 4)`.
    #[test]
    fn reads_what_numpy_wrote() {
        let expected: Vec<i64> = (0..24).map(|n| 100 * (n / 12) + 10 * (n / 4 % 3) + n % 4).collect();
        let c_order = read_bytes::<i64>(include_bytes!("../../tests/fixtures/npy/c_order.npy")).unwrap();
        assert_eq!(c_order, Array { shape: vec![2, 3, 4], values: expected.clone() });
        let fortran = read_bytes::<f32>(include_bytes!("../../tests/fixtures/npy/fortran_order.npy")).unwrap();
        assert_eq!(fortran.values, expected.iter().map(|v| *v as f32).collect::<Vec<_>>());
        let second = read_bytes::<f64>(include_bytes!("../../tests/fixtures/npy/version_2.npy")).unwrap();
        assert_eq!((second.shape, second.values[23]), (vec![2, 3, 4], 123.0));
        let scalar = read_bytes::<f64>(include_bytes!("../../tests/fixtures/npy/scalar.npy")).unwrap();
        assert_eq!((scalar.shape, scalar.values), (vec![], vec![-0.25]));
        let error = read_bytes::<f32>(include_bytes!("../../tests/fixtures/npy/structured.npy")).unwrap_err();
        assert!(matches!(error, NpyError::Header { .. }), "{error}");
    }

    #[test]
    fn writes_what_numpy_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("array.npy");
        let values: Vec<i64> = (0..24).map(|n| 100 * (n / 12) + 10 * (n / 4 % 3) + n % 4).collect();
        write(&path, &[2, 3, 4], &values).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), include_bytes!("../../tests/fixtures/npy/c_order.npy"));
        write(&path, &[], &[-0.25]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), include_bytes!("../../tests/fixtures/npy/scalar.npy"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn any_shape_returns_as_it_went() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("array.npy");
        for round in 0..50 {
            let mut random = Random::new(9, "npy", round);
            let shape: Vec<usize> = (0..random.below(5)).map(|_| random.below(6) as usize).collect();
            let values = random.normal(shape.iter().product());
            write(&path, &shape, &values).unwrap();
            assert_eq!(read::<f32>(&path).unwrap(), Array { shape, values });
        }
    }

    #[test]
    fn lying_and_damaged_files_are_refused() {
        let honest = with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", &[0; 8]);
        assert_eq!(read_bytes::<f32>(&honest).unwrap().values, [0.0, 0.0]);
        for length in 0..honest.len() {
            assert!(read_bytes::<f32>(&honest[..length]).is_err(), "cut to {length} bytes");
        }
        let shapes = [
            "(1000000000000,)",
            "(18446744073709551615, 8)",
            "(-1,)",
            "(2, 3)",
            "(1,)",
            "(99999999999999999999,)",
            "2",
        ];
        for shape in shapes {
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
            assert!(read_bytes::<f32>(&with_header(&header, &[0; 8])).is_err(), "{shape}");
        }
        let nested = format!("{{'descr': {}", "(".repeat(9000));
        for header in
            ["", "{", "{}", "{'descr': '<f4'}", "{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", &nested]
        {
            assert!(read_bytes::<f32>(&with_header(header, &[0; 8])).is_err(), "{header}");
        }
        let mut endless = b"\x93NUMPY\x02\x00".to_vec();
        endless.extend_from_slice(&u32::MAX.to_le_bytes());
        let error = read_bytes::<f32>(&endless).unwrap_err().to_string();
        assert!(error.ends_with("npy header length: expected at most 10000, found 4294967295"), "{error}");
        let empty = with_header("{'descr': '<f4', 'fortran_order': True, 'shape': (0, 9223372036854775807, 9)}", &[]);
        assert!(read_bytes::<f32>(&empty).unwrap().values.is_empty());
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let good = include_bytes!("../../tests/fixtures/npy/fortran_order.npy");
        for round in 0..2000 {
            let mut random = Random::new(4, "npy damage", round);
            let mut bytes = good.to_vec();
            for _ in 0..=random.below(4) {
                let place = random.below(128) as usize;
                bytes[place] = random.next_u32() as u8;
            }
            let _ = header_text(&bytes).and_then(|(text, _)| Header::parse(text));
        }
    }
}
