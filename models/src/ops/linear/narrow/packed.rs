use std::fmt;

use half::bf16;
use rayon::prelude::*;

use super::Narrow;
use crate::ops::vectorised;

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
        words.par_chunks_exact_mut(of_tile).zip(values.par_chunks(TILE * inner)).for_each(|(words, values)| {
            vectorised(
                #[inline(always)]
                || {
                    for (lane, weights) in values.chunks_exact(inner).enumerate() {
                        for (group, words) in weights.chunks(GROUP).zip(words.chunks_exact_mut(words_of_group(narrow)))
                        {
                            write(group, narrow, words, lane);
                        }
                    }
                },
            );
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
        let tiles = self.words.par_chunks_exact(self.words_of_tile());
        tiles.zip(values.par_chunks_mut(TILE * inner)).for_each(|(words, values)| {
            for (lane, weights) in values.chunks_exact_mut(inner).enumerate() {
                for (group, words) in weights.chunks_mut(GROUP).zip(words.chunks_exact(words_of_group(narrow))) {
                    read(words, lane, narrow, group);
                }
            }
        });
        values
    }

    pub fn words_of_tile(&self) -> usize {
        self.inner.div_ceil(GROUP) * words_of_group(self.narrow)
    }
}

fn words_of_group(narrow: Narrow) -> usize {
    (narrow.lines_of_scales() + GROUP / narrow.per_word()) * TILE
}

/// Writes the weights of a group and a lane into words of zeros.
#[inline(always)]
fn write(group: &[f32], narrow: Narrow, words: &mut [u32], lane: usize) {
    let mut weights = [0.0; GROUP];
    weights[..group.len()].copy_from_slice(group);
    let step = step(&weights, narrow);
    let (scales, lines) = words.split_at_mut(narrow.lines_of_scales() * TILE);
    if let Some(scale) = scales.get_mut(lane) {
        *scale = step.to_bits();
    }
    let mut fields = [0; GROUP];
    for (bits, weight) in fields.iter_mut().zip(weights) {
        *bits = field(weight, step, narrow);
    }
    for (line, fields) in lines.chunks_exact_mut(TILE).zip(fields.chunks_exact(narrow.per_word())) {
        for (place, field) in fields.iter().enumerate() {
            line[lane] |= field << (narrow.bits() * place);
        }
    }
}

/// The inverse.
fn read(words: &[u32], lane: usize, narrow: Narrow, group: &mut [f32]) {
    let (scales, lines) = words.split_at(narrow.lines_of_scales() * TILE);
    let step = scales.get(lane).map_or(1.0, |scale| f32::from_bits(*scale));
    for (line, weights) in lines.chunks_exact(TILE).zip(group.chunks_mut(narrow.per_word())) {
        for (place, weight) in weights.iter_mut().enumerate() {
            *weight = value(line[lane] >> (narrow.bits() * place), step, narrow);
        }
    }
}

/// The scale of a group: with it the weight that is furthest from zero is a whole number, ±127, or −8.
#[inline(always)]
fn step(group: &[f32], narrow: Narrow) -> f32 {
    let furthest = group.iter().fold(0.0f32, |most, value| if value.abs() > most.abs() { *value } else { most });
    match narrow {
        Narrow::Bf16 => 1.0,
        Narrow::Int8 => furthest / 127.0,
        Narrow::Int4 => furthest / -8.0,
    }
}

/// The bits of a weight.
#[inline(always)]
fn field(weight: f32, step: f32, narrow: Narrow) -> u32 {
    // Where the step is zero all weights are.
    let times = if step == 0.0 { 0.0 } else { weight / step };
    match narrow {
        Narrow::Bf16 => u32::from(bf16::from_f32(weight).to_bits()),
        Narrow::Int8 => (times.round_ties_even().clamp(-128.0, 127.0) + 128.0) as u32,
        Narrow::Int4 => (times.round_ties_even().clamp(-8.0, 7.0) + 8.0) as u32,
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
