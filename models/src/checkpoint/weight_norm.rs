use std::collections::BTreeMap;
use std::sync::Arc;

use super::values::{Source, Stored};
use super::{Checkpoint, CheckpointError};

/// What PyTorch calls a weight's magnitudes and directions: in its older form and as a parametrisation.
const PARTS: [[&str; 2]; 2] =
    [["weight_g", "weight_v"], ["parametrizations.weight.original0", "parametrizations.weight.original1"]];

/// A weight as PyTorch's `weight_norm` keeps it: one magnitude for each index of the first axis, and a tensor of directions
/// (Salimans and Kingma, "Weight Normalization", 2016).
#[derive(Debug)]
pub(super) struct WeightNorm {
    magnitude: Arc<Stored>,
    direction: Arc<Stored>,
}

impl WeightNorm {
    pub fn shape(&self) -> &[usize] {
        self.direction.shape()
    }

    /// magnitude · direction / ‖direction‖
    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let magnitudes = self.magnitude.read(name)?;
        let mut values = self.direction.read(name)?;
        let length = values.len() / magnitudes.len().max(1);
        for (magnitude, values) in magnitudes.iter().zip(values.chunks_exact_mut(length.max(1))) {
            let square: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
            let scale = f64::from(*magnitude) / square.sqrt();
            for value in values {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
        Ok(values)
    }
}

impl Checkpoint {
    /// The same weights with every weight norm over the first axis folded in: `layer.weight_g` and `layer.weight_v`, or the
    /// two of `layer.parametrizations.weight`, become `layer.weight`. Others stay as they are.
    ///
    /// # Errors
    ///
    /// If magnitudes and directions do not fit each other, or a weight is there folded as well.
    pub fn fold_weight_norm(self) -> Result<Self, CheckpointError> {
        let Self { path, mut tensors } = self;
        let mut folded = BTreeMap::new();
        for [magnitude, direction] in PARTS {
            let layers: Vec<String> = tensors
                .keys()
                .filter_map(|name| {
                    name.strip_suffix(magnitude).filter(|layer| layer.is_empty() || layer.ends_with('.'))
                })
                .filter(|layer| tensors.contains_key(&format!("{layer}{direction}")))
                .map(str::to_owned)
                .collect();
            for layer in layers {
                let name = format!("{layer}{magnitude}");
                let parts = (tensors.remove(&name), tensors.remove(&format!("{layer}{direction}")));
                let (Some(magnitude), Some(direction)) = parts else { continue };
                let (found, count) = (magnitude.shape(), direction.shape().first().copied().unwrap_or(1));
                if found.iter().product::<usize>() != count || found.first().copied() != Some(count) {
                    let (found, expected) = (format!("shape {found:?}"), format!("[{count}, 1, …], as its directions"));
                    return Err(CheckpointError::tensor(&path, &name, found, expected));
                }
                let source = Source::Normed(WeightNorm { magnitude, direction });
                let weight = Arc::new(Stored { file: path.clone(), source });
                if folded.insert(format!("{layer}weight"), weight).is_some() {
                    return Err(CheckpointError::tensor(&path, &name, "two forms of one weight", "one"));
                }
            }
        }
        for (name, weight) in folded {
            if tensors.insert(name.clone(), weight).is_some() {
                return Err(CheckpointError::tensor(&path, &name, "the weight itself and its norm", "one of them"));
            }
        }
        Ok(Self { path, tensors })
    }
}
