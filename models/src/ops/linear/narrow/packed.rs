use std::fmt;

use half::bf16;
use rayon::prelude::*;

use super::Narrow;

/// Outputs whose weights lie side by side. No instruction set has more lanes.
pub(super) const TILE: usize = 32;

/// Inputs whose weights share a scale.
pub(super) const GROUP: usize = 32;

/// The weights of a linear layer in the order in which a product reads them: for every tile of outputs, for every group of
/// inputs, a line of scales (where there are any) and lines of words. A word of a line is one output's and holds its weights
/// for as many successive inputs as fit, the first in the lowest bits; whole numbers are held as their distance from the
/// least. What is beyond the last output or input is zero.
#[derive(Clone)]
pub(super) struct Packed {
    pub narrow: Narrow,
    pub inner: usize,
    pub outer: usize,
    pub words: Vec<u32>,
}

impl Packed {
    /// # Shapes
    ///
    /// `[outer, inner]`, as published.
    pub fn new(values: &[f32], [outer, inner]: [usize; 2], narrow: Narrow) -> Self {
        let of_tile = inner.div_ceil(GROUP) * words_of_group(narrow);
        let mut words = vec![0; outer.div_ceil(TILE) * of_tile];
        words.par_chunks_mut(of_tile.max(1)).enumerate().for_each(|(tile, words)| {
            let outputs = values[tile * TILE * inner..].chunks_exact(inner).take(TILE);
            for (lane, weights) in outputs.enumerate() {
                for (group, words) in weights.chunks(GROUP).zip(words.chunks_exact_mut(words_of_group(narrow))) {
                    let (scale, lines) = words.split_at_mut(if narrow.has_scales() { TILE } else { 0 });
                    let step = step(group, narrow);
                    if let Some(scale) = scale.get_mut(lane) {
                        *scale = step.to_bits();
                    }
                    // Those behind the last input as well: a whole zero is no zero bits.
                    for place in 0..GROUP {
                        let field = field(group.get(place).copied().unwrap_or(0.0), step, narrow);
                        let (line, place) = (place / narrow.per_word(), place % narrow.per_word());
                        lines[line * TILE + lane] |= field << (narrow.bits() * place);
                    }
                }
            }
        });
        Self { narrow, inner, outer, words }
    }

    /// The weights that these words stand for.
    ///
    /// # Shapes
    ///
    /// `[outer, inner]`
    pub fn values(&self) -> Vec<f32> {
        let Self { narrow, inner, outer, .. } = *self;
        let mut values = vec![0.0; outer * inner];
        values.par_chunks_mut((TILE * inner).max(1)).zip(self.words.par_chunks(self.words_of_tile().max(1))).for_each(
            |(outputs, words)| {
                for (lane, weights) in outputs.chunks_exact_mut(inner).enumerate() {
                    for (group, words) in weights.chunks_mut(GROUP).zip(words.chunks_exact(words_of_group(narrow))) {
                        let (scale, lines) = words.split_at(if narrow.has_scales() { TILE } else { 0 });
                        let step = scale.get(lane).map_or(1.0, |scale| f32::from_bits(*scale));
                        for (place, weight) in group.iter_mut().enumerate() {
                            let (line, place) = (place / narrow.per_word(), place % narrow.per_word());
                            *weight = value(lines[line * TILE + lane] >> (narrow.bits() * place), step, narrow);
                        }
                    }
                }
            },
        );
        values
    }

    pub fn words_of_tile(&self) -> usize {
        self.inner.div_ceil(GROUP) * words_of_group(self.narrow)
    }
}

fn words_of_group(narrow: Narrow) -> usize {
    let scales = if narrow.has_scales() { TILE } else { 0 };
    scales + GROUP / narrow.per_word() * TILE
}

/// The scale of a group: with it the weight that is furthest from zero is a whole number, ±127, or −8.
fn step(group: &[f32], narrow: Narrow) -> f32 {
    let furthest = group.iter().fold(0.0f32, |most, value| if value.abs() > most.abs() { *value } else { most });
    match narrow {
        Narrow::Bf16 => 1.0,
        Narrow::Int8 => furthest / 127.0,
        Narrow::Int4 => furthest / -8.0,
    }
}

/// The bits of a weight.
fn field(weight: f32, step: f32, narrow: Narrow) -> u32 {
    // Where the step is zero all weights are.
    let whole = |least: f32, most: f32| {
        let times = if step == 0.0 { 0.0 } else { weight / step };
        (times.round_ties_even().clamp(least, most) - least) as u32
    };
    match narrow {
        Narrow::Bf16 => u32::from(bf16::from_f32(weight).to_bits()),
        Narrow::Int8 => whole(-128.0, 127.0),
        Narrow::Int4 => whole(-8.0, 7.0),
    }
}

/// The weight of a word's lowest bits.
fn value(word: u32, step: f32, narrow: Narrow) -> f32 {
    match narrow {
        Narrow::Bf16 => f32::from_bits(word << 16),
        Narrow::Int8 => ((word & 0xff) as f32 - 128.0) * step,
        Narrow::Int4 => ((word & 0xf) as f32 - 8.0) * step,
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed")
            .field("narrow", &self.narrow)
            .field("shape", &[self.outer, self.inner])
            .finish_non_exhaustive()
    }
}
