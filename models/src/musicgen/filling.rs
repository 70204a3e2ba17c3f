use burn::tensor::{Device, Tensor, TensorData};

/// Tokens at the end of a prefix that only fill a batch. Nothing attends to them, and positions are counted as if they were not
/// there: so an item is the same alone and in company.
#[derive(Debug)]
pub(super) struct Filling {
    /// How many of each item.
    counts: Vec<usize>,
    /// −∞ for these and 0 for all other tokens of the prefix, `[1, batch · head, 1, token]`.
    hidden: Tensor<4>,
}

impl Filling {
    /// None where no item is filled.
    pub fn new(counts: &[usize], tokens: usize, heads: usize, device: &Device) -> Option<Self> {
        if counts.iter().all(|count| *count == 0) {
            return None;
        }
        let of_item =
            |count: usize| (0..tokens).map(move |token| if token + count < tokens { 0.0 } else { f32::NEG_INFINITY });
        let values: Vec<f32> = counts.iter().flat_map(|count| (0..heads).flat_map(move |_| of_item(*count))).collect();
        let shape = [1, counts.len() * heads, 1, tokens];
        let hidden = Tensor::from_data(TensorData::new(values, shape), device);
        Some(Self { counts: counts.to_vec(), hidden })
    }

    /// What is added to the scores of `count` new positions, the last of `positions` in all.
    ///
    /// # Shapes
    ///
    /// `[1, batch · head, count, positions]`
    pub fn hidden(&self, count: usize, positions: usize) -> Tensor<4> {
        let [_, rows, _, tokens] = self.hidden.dims();
        let seen = Tensor::zeros([1, rows, 1, positions - tokens], &self.hidden.device());
        Tensor::cat(vec![self.hidden.clone(), seen], 3).expand([1, rows, count, positions])
    }

    /// The vectors of positions, each item's counted without what fills it; `from` gives those from one position on.
    ///
    /// # Shapes
    ///
    /// `[1, count, width]` → `[batch, count, width]`
    pub fn positions(&self, start: usize, from: impl Fn(usize) -> Tensor<3>) -> Tensor<3> {
        Tensor::cat(self.counts.iter().map(|filled| from(start - filled)).collect(), 0)
    }
}
