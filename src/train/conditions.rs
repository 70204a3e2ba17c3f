//! What the items of a batch are conditioned on: sequences of one width, padded to the longest.

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::diffusion::Condition;

use crate::encodings::Encoding;

/// The encodings of a batch, still on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// `[batch, token, width]`.
    pub shape: [usize; 3],
    /// The encodings; zeros beyond an item's own tokens.
    pub encodings: Vec<f32>,
    /// `[batch, token]`: 1 for an item's own tokens.
    pub mask: Vec<f32>,
}

impl Conditions {
    /// Pads encodings of `width` to the longest. An absent one is the null condition: a single token of zeros.
    pub fn new(items: &[Option<&Encoding>], width: usize) -> Self {
        let tokens_of = |item: Option<&Encoding>| item.map_or(1, |encoding| encoding.tokens.max(1));
        let tokens = items.iter().copied().map(tokens_of).max().unwrap_or(1);
        let mut encodings = vec![0.0; items.len() * tokens * width];
        let mut mask = vec![0.0; items.len() * tokens];
        let rows = encodings.chunks_exact_mut(tokens * width).zip(mask.chunks_exact_mut(tokens));
        for ((row, mask), item) in rows.zip(items) {
            if let Some(encoding) = item {
                row[..encoding.values.len()].copy_from_slice(&encoding.values);
            }
            mask[..tokens_of(*item)].fill(1.0);
        }
        Self { shape: [items.len(), tokens, width], encodings, mask }
    }

    /// The same on a device; without a mask where all are of one length.
    pub fn upload(self, device: &Device) -> Condition {
        let [batch, tokens, _] = self.shape;
        let padded = self.mask.contains(&0.0);
        Condition {
            encodings: Tensor::from_data(TensorData::new(self.encodings, self.shape), device),
            mask: padded.then(|| Tensor::from_data(TensorData::new(self.mask, [batch, tokens]), device)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ones_are_padded_and_absent_ones_are_one_token_of_zeros() {
        let [short, long] =
            [1, 2].map(|tokens| Encoding { tokens, dim: 2, values: vec![tokens as f32; 2 * tokens].into() });
        let conditions = Conditions::new(&[Some(&short), None, Some(&long)], 2);
        assert_eq!(conditions.shape, [3, 2, 2]);
        assert_eq!(conditions.encodings, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0]);
        assert_eq!(conditions.mask, [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
        assert!(conditions.upload(&Device::flex()).mask.is_some());
        assert!(Conditions::new(&[Some(&long), Some(&long)], 2).upload(&Device::flex()).mask.is_none());
    }
}
