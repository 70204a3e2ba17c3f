//! A stretch of a signal, copied together with the zeros around it, so that every tap reads whole vectors.

use super::strip::VECTORS;

/// Vector registers of the widest instruction set hold this many values; rows of a tile are multiples of it.
pub(super) const WIDEST: usize = 16;

/// Tiles are whole strips of the kernels long.
const STRIP: usize = VECTORS * WIDEST;

/// No tile is longer, so that the kernels find its rows in the first-level cache.
const LONGEST: usize = 96 * STRIP;

/// No tile is shorter only for the sake of their number.
const SHORTEST: usize = 2 * STRIP;

/// Values of a tile that a core's second-level cache holds beside the weights.
const CACHED: usize = 96 * 1024;

/// How a tile is cut from a signal: sample (v + q) · stride + phase − padding of a channel becomes value q of the row of
/// that phase, where v is the tile's start.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub stride: usize,
    pub padding: usize,
    /// The phases that taps read, in increasing order.
    pub phases: Vec<usize>,
    /// Positions of a whole tile.
    pub width: usize,
    /// By how many positions the last tap is ahead of the first.
    pub reach: usize,
}

impl Layout {
    /// The layout in which samples at `distances` from each other are read, for tiles of `channels` that share `positions`
    /// about equally: `parts` of them or more, unless they would become too short.
    pub fn new(
        stride: usize,
        padding: usize,
        distances: impl Iterator<Item = usize>,
        channels: usize,
        positions: usize,
        parts: usize,
    ) -> Self {
        let (mut phases, ahead): (Vec<_>, Vec<_>) =
            distances.map(|distance| (distance % stride, distance / stride)).unzip();
        phases.sort_unstable();
        phases.dedup();
        let reach = ahead.into_iter().max().unwrap_or(0);
        let most = (CACHED / (channels * phases.len())).saturating_sub(reach).clamp(STRIP, LONGEST);
        let parts = parts.min(positions / (SHORTEST + 2 * reach));
        let tiles = positions.div_ceil(most).max(parts).max(1);
        let width = positions.div_ceil(tiles).next_multiple_of(STRIP);
        Self { stride, padding, phases, width, reach }
    }

    /// Values of one phase.
    fn phase_pitch(&self) -> usize {
        // The last vector may reach over the end.
        (self.width + self.reach).next_multiple_of(WIDEST) + WIDEST
    }

    /// Values of one channel: an odd number of cache lines, lest all channels meet in the same sets.
    pub fn pitch(&self) -> usize {
        let lines = self.phases.len() * self.phase_pitch() / WIDEST;
        (lines | 1) * WIDEST
    }

    /// Where in the row of a channel the first position of a tile finds the sample at `distance`.
    pub fn place(&self, distance: usize) -> usize {
        let phase = self.phases.binary_search(&(distance % self.stride)).expect("a phase that taps read");
        phase * self.phase_pitch() + distance / self.stride
    }

    /// Copies `positions` of `channels`, signals of `length` samples each, into `tile`.
    #[inline(always)]
    pub fn copy(&self, channels: &[f32], length: usize, start: usize, positions: usize, tile: &mut [f32]) {
        let count = positions + self.reach;
        for (channel, row) in tile.chunks_exact_mut(self.pitch()).enumerate() {
            let signal = &channels[channel * length..][..length];
            for (row, &phase) in row.chunks_exact_mut(self.phase_pitch()).zip(&self.phases) {
                let before = start * self.stride + phase;
                let first = self.padding.saturating_sub(before).div_ceil(self.stride).min(count);
                let beyond = (length + self.padding).saturating_sub(before).div_ceil(self.stride).clamp(first, count);
                row[..first].fill(0.0);
                row[beyond..count].fill(0.0);
                if first < beyond {
                    let from = before + first * self.stride - self.padding;
                    take(&signal[from..], self.stride, &mut row[first..beyond]);
                }
            }
        }
    }
}

/// Every `stride`-th value of `source`.
#[inline(always)]
pub(super) fn take(source: &[f32], stride: usize, target: &mut [f32]) {
    match stride {
        1 => target.copy_from_slice(&source[..target.len()]),
        // Constant strides become shuffles of whole vectors.
        2 => take_each::<2>(source, target),
        4 => take_each::<4>(source, target),
        8 => take_each::<8>(source, target),
        _ => {
            for (value, source) in target.iter_mut().zip(source.iter().step_by(stride)) {
                *value = *source;
            }
        }
    }
}

#[inline(always)]
fn take_each<const STRIDE: usize>(source: &[f32], target: &mut [f32]) {
    let (whole, rest) = source.as_chunks::<STRIDE>();
    let (body, tail) = target.split_at_mut(whole.len().min(target.len()));
    for (value, source) in body.iter_mut().zip(whole) {
        *value = source[0];
    }
    if let (Some(value), Some(source)) = (tail.first_mut(), rest.first()) {
        *value = *source;
    }
}
