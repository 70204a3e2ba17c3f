//! The scores of a group of queries and a block of keys.

use std::ops::Range;

use pulp::Simd;

use super::lanes::{groups, groups_mut, multiply};
use super::panels::PANEL;
use super::shape::Shape;

/// Queries of one task: two of the widest vectors.
pub(super) const TILE: usize = 32;

/// Keys that are scored at a time: with a tile of queries, half of a first-level cache.
pub(super) const BLOCK: usize = 128;

/// What the scores of one head are made of.
pub(super) struct Scores<'a> {
    pub shape: &'a Shape,
    /// `[panel of keys, channel, PANEL]`
    pub key: &'a [f32],
    /// The key that the first panel begins with.
    pub first_key: usize,
    /// `[query, key]`
    pub bias: Option<&'a [f32]>,
}

impl Scores<'_> {
    /// Writes the scores of the keys `range`, which begin a panel, for `count` queries from `start`, which are `query`,
    /// scaled: −∞ where a key is hidden from a query.
    ///
    /// # Shapes
    ///
    /// `query` `[channel, lane]` → `[key, lane]`
    #[inline(always)]
    pub fn compute<S: Simd, const M: usize>(
        &self,
        simd: S,
        query: &[f32],
        start: usize,
        count: usize,
        range: Range<usize>,
        target: &mut [f32],
    ) {
        let lanes = M * S::F32_LANES;
        let keys = self.shape.keys;
        if let Some(bias) = self.bias {
            let lines = target.chunks_exact_mut(lanes).take(range.len());
            if count < lanes {
                lines.for_each(|line| line[count..].fill(0.0));
            }
            for lane in 0..count {
                let row = &bias[(start + lane) * keys..][range.clone()];
                let lines = target.chunks_exact_mut(lanes);
                lines.zip(row).for_each(|(line, value)| line[lane] = *value);
            }
        }
        let size = self.shape.width * PANEL;
        let panels = self.key[(range.start - self.first_key) / PANEL * size..].chunks_exact(size);
        let rows = groups_mut::<S, M>(target).as_chunks_mut().0;
        let query = groups::<S, M>(query);
        for (panel, rows) in panels.zip(rows).take(range.len().div_ceil(PANEL)) {
            if self.bias.is_some() {
                multiply(simd, query, panel, |_, bias| bias, rows);
            } else {
                multiply(simd, query, panel, |_, _| simd.splat_f32s(0.0), rows);
            }
        }
        if self.shape.visible(start) < range.end {
            for (key, line) in range.zip(target.chunks_exact_mut(lanes)) {
                let hidden = self.shape.blind(key).saturating_sub(start);
                line[..hidden.min(lanes)].fill(f32::NEG_INFINITY);
            }
        }
    }
}
