//! An array that stays in its file and is read row by row.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::header::{Fault, Header, LONGEST_HEADER, header_text};
use super::{Element, NpyError};

/// An array of `f32` in C order, its first dimension the rows.
pub struct Mapped {
    map: Mmap,
    offset: usize,
    shape: Vec<usize>,
}

impl Mapped {
    /// Maps `path`, whose type must be `f32`.
    pub fn open(path: &Path) -> Result<Self, NpyError> {
        let io = |source| NpyError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        // SAFETY: the map is only read. Whoever shortens the file meanwhile ends this process, as with any mapped file.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        let (text, offset) = header_text(&map[..map.len().min(LONGEST_HEADER + 12)]).map_err(|fault| fault.at(path))?;
        let Header { descr, fortran_order, shape } = Header::parse(text).map_err(|fault| fault.at(path))?;
        if descr != f32::DESCR {
            return Err(Fault::new("descr", &descr, f32::DESCR).at(path));
        }
        if fortran_order {
            return Err(Fault::new("fortran_order", "True", "False").at(path));
        }
        let found = (map.len() - offset) as u64;
        let expected = shape.iter().try_fold(f32::SIZE as u64, |bytes, length| bytes.checked_mul(*length as u64));
        if expected != Some(found) {
            return Err(NpyError::Length {
                path: path.to_owned(),
                shape,
                expected: expected.unwrap_or(u64::MAX),
                found,
            });
        }
        Ok(Self { map, offset, shape })
    }

    /// The lengths of the dimensions, slowest first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values of one row.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn row(&self, index: usize) -> impl Iterator<Item = f32> + '_ {
        assert!(index < self.shape[0], "row {index} of {}", self.shape[0]);
        let bytes = self.shape[1..].iter().product::<usize>() * f32::SIZE;
        let start = self.offset + index * bytes;
        self.map[start..start + bytes].chunks_exact(f32::SIZE).map(f32::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rows_are_those_that_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        super::super::write(&path, &[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let mapped = Mapped::open(&path).unwrap();
        assert_eq!(mapped.shape(), [2, 3]);
        assert_eq!(mapped.row(1).collect::<Vec<_>>(), [4.0, 5.0, 6.0]);
    }

    #[test]
    fn other_types_and_cut_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        super::super::write(&path, &[2], &[1i64, 2]).unwrap();
        assert!(matches!(Mapped::open(&path), Err(NpyError::Header { field: "descr", .. })));
        super::super::write(&path, &[2], &[1.0f32, 2.0]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(Mapped::open(&path), Err(NpyError::Length { .. })));
        std::fs::write(&path, b"").unwrap();
        assert!(Mapped::open(&path).is_err());
    }
}
