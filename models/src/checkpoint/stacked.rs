use std::sync::Arc;

use super::values::{Source, Stored};
use super::{Checkpoint, CheckpointError};

/// Tensors upon one another along their first axis.
#[derive(Debug)]
pub(super) struct Stack {
    parts: Vec<Arc<Stored>>,
    shape: Vec<usize>,
}

impl Stack {
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let mut values = Vec::with_capacity(self.shape.iter().product());
        for part in &self.parts {
            values.extend(part.read(name)?);
        }
        Ok(values)
    }
}

impl Checkpoint {
    /// The same weights with layers that are applied to one input made one: `block.query.weight`, `block.key.weight` and
    /// `block.value.weight` become `block.qkv.weight`, and their biases likewise. Where a part is absent, the others stay as
    /// they are.
    ///
    /// # Errors
    ///
    /// If parts differ in more than their first axis, or the whole is there as well.
    pub fn stack(mut self, parts: &[&str], whole: &str) -> Result<Self, CheckpointError> {
        let Some(first) = parts.first().map(|part| format!(".{part}.")) else { return Ok(self) };
        let layers: Vec<(String, String)> = (self.tensors.keys())
            .filter_map(|name| name.split_once(&first))
            .map(|(block, kind)| (block.to_owned(), kind.to_owned()))
            .collect();
        for (block, kind) in layers {
            let names: Vec<String> = parts.iter().map(|part| format!("{block}.{part}.{kind}")).collect();
            if !names.iter().all(|name| self.tensors.contains_key(name)) {
                continue;
            }
            let mut stack = Stack { parts: Vec::new(), shape: Vec::new() };
            for name in names {
                let Some(part) = self.tensors.remove(&name) else { continue };
                match (&mut stack.shape[..], part.shape()) {
                    ([], shape) => stack.shape = shape.to_vec(),
                    ([rows, rest @ ..], [more, others @ ..]) if rest == others => *rows += more,
                    (shape, found) => {
                        let expected = format!("[…, {:?}], as the layers beside it", &shape[1..]);
                        return Err(CheckpointError::tensor(&self.path, &name, format!("shape {found:?}"), expected));
                    }
                }
                stack.parts.push(part);
            }
            self.add(format!("{block}.{whole}.{kind}"), self.path.clone(), Source::Stacked(stack))?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::file;

    #[test]
    fn parts_become_one_in_their_order() {
        let (_folder, weights) =
            file(&[("a.q.weight", &[1, 2]), ("a.k.weight", &[2, 2]), ("a.q.bias", &[1]), ("b.k.bias", &[1])]);
        let stacked = weights.stack(&["k", "q"], "kq").unwrap();
        assert_eq!(stacked.names().collect::<Vec<_>>(), ["a.kq.weight", "a.q.bias", "b.k.bias"]);
        assert_eq!(stacked.shape("a.kq.weight"), Some(&[3, 2][..]));
        assert_eq!(stacked.read("a.kq.weight").unwrap(), [100.0, 101.0, 102.0, 103.0, 0.0, 1.0]);
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let (_folder, weights) = file(&[("a.q.weight", &[1, 2]), ("a.k.weight", &[1, 3])]);
        let message = weights.stack(&["q", "k"], "qk").unwrap_err().to_string();
        assert!(message.contains("a.k.weight") && message.contains("[1, 3]"), "{message}");
        let (_folder, weights) = file(&[("a.q.bias", &[1]), ("a.k.bias", &[1]), ("a.qk.bias", &[2])]);
        let message = weights.stack(&["q", "k"], "qk").unwrap_err().to_string();
        assert!(message.contains("a.qk.bias"), "{message}");
    }
}
