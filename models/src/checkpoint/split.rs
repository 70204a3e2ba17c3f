use std::sync::Arc;

use super::values::{Source, Stored};
use super::{Checkpoint, CheckpointError};

/// Some rows of another tensor.
#[derive(Debug)]
pub(super) struct Rows {
    whole: Arc<Stored>,
    first: usize,
    shape: Vec<usize>,
}

impl Rows {
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let of_row: usize = self.shape[1..].iter().product();
        let values = self.whole.read(name)?;
        Ok(values[self.first * of_row..][..self.shape[0] * of_row].to_vec())
    }
}

impl Checkpoint {
    /// The inverse of [`Checkpoint::stack`]: `block.qkv.weight` becomes `block.query.weight`, `block.key.weight` and
    /// `block.value.weight`, of as many rows each, and its bias likewise.
    ///
    /// # Errors
    ///
    /// If the rows are no multiple of the parts, or a part is there as well.
    pub fn split(mut self, whole: &str, parts: &[&str]) -> Result<Self, CheckpointError> {
        let infix = format!(".{whole}.");
        let names: Vec<String> = self.tensors.keys().filter(|name| name.contains(&infix)).cloned().collect();
        for name in names {
            let Some((block, kind)) = name.split_once(&infix) else { continue };
            let Some(stored) = self.tensors.remove(&name) else { continue };
            let shape = match stored.shape() {
                [rows, rest @ ..] if rows.is_multiple_of(parts.len()) => [&[rows / parts.len()], rest].concat(),
                found => {
                    let expected = format!("rows of {} in equal parts", parts.join(", "));
                    return Err(CheckpointError::tensor(&self.path, &name, format!("shape {found:?}"), expected));
                }
            };
            for (index, part) in parts.iter().enumerate() {
                let rows = Rows { whole: stored.clone(), first: index * shape[0], shape: shape.clone() };
                self.add(format!("{block}.{part}.{kind}"), stored.file.clone(), Source::Rows(rows))?;
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::file;

    #[test]
    fn a_whole_becomes_its_parts_in_their_order() {
        let (_folder, weights) = file(&[("a.qk.weight", &[4, 3]), ("a.qk.bias", &[2]), ("b.weight", &[1])]);
        let split = weights.split("qk", &["q", "k"]).unwrap();
        assert_eq!(split.names().collect::<Vec<_>>(), ["a.k.bias", "a.k.weight", "a.q.bias", "a.q.weight", "b.weight"]);
        assert_eq!(split.shape("a.k.weight"), Some(&[2, 3][..]));
        assert_eq!(split.read("a.k.weight").unwrap(), [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        assert_eq!((split.read("a.q.bias").unwrap(), split.read("a.k.bias").unwrap()), (vec![100.0], vec![101.0]));
    }

    #[test]
    fn what_has_no_equal_parts_is_named() {
        for shape in [&[5, 2][..], &[]] {
            let (_folder, weights) = file(&[("a.qk.weight", shape)]);
            let message = weights.split("qk", &["q", "k"]).unwrap_err().to_string();
            assert!(message.contains("a.qk.weight") && message.contains(&format!("{shape:?}")), "{message}");
        }
        let (_folder, weights) = file(&[("a.qk.weight", &[2]), ("a.k.weight", &[1])]);
        let message = weights.split("qk", &["q", "k"]).unwrap_err().to_string();
        assert!(message.contains("a.k.weight"), "{message}");
    }
}
