//! What an attention is over, and where its values lie.

/// The sizes and rules of one attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub batch: usize,
    pub queries: usize,
    pub keys: usize,
    pub heads: usize,
    /// Channels of one head.
    pub width: usize,
    /// Factor of the scores.
    pub scale: f32,
    pub causal: bool,
}

impl Shape {
    pub fn channels(&self) -> usize {
        self.heads * self.width
    }

    /// How many keys, from the first, the query at `query` sees. Later queries see no fewer.
    pub fn visible(&self, query: usize) -> usize {
        if self.causal { (self.keys + query + 1).saturating_sub(self.queries).min(self.keys) } else { self.keys }
    }

    /// How many queries, from the first, do not see the key at `key`.
    pub fn blind(&self, key: usize) -> usize {
        if self.causal { (key + self.queries).saturating_sub(self.keys).min(self.queries) } else { 0 }
    }

    /// The rows of one head from `values`, `[batch, position, channel]`; heads are counted over the batch.
    pub fn rows<'a>(&self, values: &'a [f32], head: usize) -> Rows<'a> {
        self.rows_of(values, head, 1)
    }

    /// The rows of `count` heads of one item from `head`.
    pub fn rows_of<'a>(&self, values: &'a [f32], head: usize, count: usize) -> Rows<'a> {
        let positions = values.len() / (self.batch * self.channels());
        let start = head / self.heads * positions * self.channels() + head % self.heads * self.width;
        Rows { values: &values[start..], stride: self.channels(), width: count * self.width, count: positions }
    }
}

/// The channels of one head or more, a row for each position.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    values: &'a [f32],
    stride: usize,
    pub width: usize,
    pub count: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub fn row(&self, position: usize) -> &'a [f32] {
        &self.values[position * self.stride..][..self.width]
    }

    /// `count` rows from `start`.
    pub fn part(&self, start: usize, count: usize) -> Self {
        Self { values: &self.values[start * self.stride..], count, ..*self }
    }
}

/// What is added to the scores, `[1 or batch, 1 or heads, query, key]`.
#[derive(Clone, Copy)]
pub(super) struct Bias<'a> {
    pub values: &'a [f32],
    pub shape: [usize; 4],
}

impl<'a> Bias<'a> {
    /// The one that the head `head` of the item `item` uses.
    pub fn index(&self, item: usize, head: usize) -> usize {
        item.min(self.shape[0] - 1) * self.shape[1] + head.min(self.shape[1] - 1)
    }

    /// `[query, key]`
    pub fn matrix(&self, index: usize) -> &'a [f32] {
        let length = self.shape[2] * self.shape[3];
        &self.values[index * length..][..length]
    }
}

/// The softmax of one query's scores is `exp(score − highest) · inverse`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Softmax {
    pub highest: f32,
    /// 1 / its denominator; 0 where the query sees nothing.
    pub inverse: f32,
}

impl Softmax {
    #[inline(always)]
    pub fn new(highest: f32, total: f32) -> Self {
        Self { highest, inverse: if total == 0.0 { 0.0 } else { 1.0 / total } }
    }
}

/// `[head, position, width]`, heads counted over the batch, → `[batch, position, channel]`, both in parts; values of
/// more than one source are added up in their order.
pub(super) fn merge(shape: &Shape, positions: usize, sources: &[&[f32]]) -> Vec<f32> {
    use rayon::prelude::*;
    let Shape { heads, width, .. } = *shape;
    let mut merged = vec![0.0; shape.batch * positions * shape.channels()];
    merged.par_chunks_exact_mut(shape.channels()).enumerate().with_min_len(32).for_each(|(row, line)| {
        let (item, position) = (row / positions, row % positions);
        for (head, part) in line.chunks_exact_mut(width).enumerate() {
            let start = ((item * heads + head) * positions + position) * width;
            part.copy_from_slice(&sources[0][start..][..width]);
            for source in &sources[1..] {
                part.iter_mut().zip(&source[start..]).for_each(|(sum, value)| *sum += value);
            }
        }
    });
    merged
}
