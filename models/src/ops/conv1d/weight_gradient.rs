//! The gradient of a convolution's weights: for every pair of a coarse and a fine channel, and every tap, the scalar product of
//! the two signals at the tap's distance.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::geometry::{Geometry, Signal};
use super::share::share;
use super::strip::{VECTORS, add_outer, dot, rows_at_once};
use super::tile::{Layout, WIDEST};
use crate::ops::matrix::transpose;

/// Groups with fewer coarse channels would leave most of a vector of them empty.
const ROWS: usize = 8;

/// Tasks that keep several threads busy to the end.
const ENOUGH: usize = 24;

/// # Shapes
///
/// fine signal, coarse signal (one of them a gradient) → gradient of the weights
pub(super) fn weight_gradient(g: &Geometry, fine: &[f32], coarse: &[f32]) -> Vec<f32> {
    let signals = Signals { g, rows: g.coarse.channels / g.groups, depth: g.fine.channels / g.groups, fine, coarse };
    if g.batch * g.coarse.length == 0 {
        vec![0.0; g.coarse.channels * signals.depth * g.taps]
    } else if signals.rows < ROWS {
        signals.by_pairs()
    } else {
        signals.by_vectors()
    }
}

#[derive(Clone, Copy)]
struct Signals<'a> {
    g: &'a Geometry,
    /// Coarse channels of a group.
    rows: usize,
    /// Fine channels of a group.
    depth: usize,
    fine: &'a [f32],
    coarse: &'a [f32],
}

impl<'a> Signals<'a> {
    fn layout(&self, channels: usize) -> Layout {
        let g = self.g;
        Layout::new(g.stride, g.padding, (0..g.taps).map(|tap| tap * g.dilation), channels, g.coarse.length, 1)
    }

    /// The samples of one channel, and what follows.
    fn channel(signal: Signal, values: &'a [f32], item: usize, channel: usize) -> &'a [f32] {
        &values[item * signal.values() + channel * signal.length..]
    }

    /// Tiles of all items: item, start, positions.
    fn tiles(&self, width: usize) -> Vec<(usize, usize, usize)> {
        let length = self.g.coarse.length;
        let starts = (0..length).step_by(width);
        (0..self.g.batch)
            .flat_map(|item| starts.clone().map(move |start| (item, start, width.min(length - start))))
            .collect()
    }
}

// Vectors of coarse channels: the outer product of both signals' channels, summed over time.

/// Some coarse channels and some fine channels of a group, for some tiles.
struct Task<'a> {
    group: usize,
    rows: Range<usize>,
    channels: Range<usize>,
    tiles: &'a [(usize, usize, usize)],
    /// `[coarse channel, fine channel, tap]`
    result: &'a mut Vec<f32>,
}

struct Scratch {
    tile: Vec<f32>,
    /// `[position, coarse channel]`
    vectors: Vec<f32>,
    /// `[fine channel, tap, coarse channel]`
    sums: Vec<f32>,
}

impl Signals<'_> {
    fn by_vectors(&self) -> Vec<f32> {
        /// Pairs of a fine channel and a tap that share a transposed coarse signal.
        const PAIRS: usize = 576;
        let Self { g, rows, depth, .. } = *self;
        let channels = PAIRS.div_ceil(g.taps).min(depth);
        let layout = self.layout(channels);
        let width = pulp::Arch::new().dispatch(Width);
        let tiles = self.tiles(layout.width);
        let row_blocks = rows.div_ceil(width);
        let channel_blocks = depth.div_ceil(channels);
        // Where channels do not make enough tasks, time does.
        let parts = ENOUGH.div_ceil(g.groups * row_blocks * channel_blocks).min(tiles.len());
        let tiles_at_once = tiles.len().div_ceil(parts);
        let mut results = vec![vec![]; g.groups * row_blocks * channel_blocks * tiles.len().div_ceil(tiles_at_once)];
        let mut free = results.iter_mut();
        let mut tasks = Vec::with_capacity(free.len());
        for group in 0..g.groups {
            for row in (0..rows).step_by(width) {
                for channel in (0..depth).step_by(channels) {
                    tasks.extend(tiles.chunks(tiles_at_once).zip(free.by_ref()).map(|(tiles, result)| Task {
                        group,
                        rows: row..rows.min(row + width),
                        channels: channel..depth.min(channel + channels),
                        tiles,
                        result,
                    }));
                }
            }
        }
        let scratch = || Scratch {
            tile: vec![0.0; channels * layout.pitch()],
            vectors: vec![0.0; layout.width * width],
            sums: vec![0.0; (channels * g.taps).next_multiple_of(ROWS) * width],
        };
        share(tasks, scratch, |scratch, task| {
            pulp::Arch::new().dispatch(Outer { signals: self, layout: &layout, task, scratch });
        });
        // Every row is made of the results of its block, for all fine channels, over all parts of time.
        let parts = tiles.len().div_ceil(tiles_at_once);
        let mut output = vec![0.0; g.coarse.channels * depth * g.taps];
        output.par_chunks_exact_mut(depth * g.taps).enumerate().for_each(|(row, output)| {
            let (group, row) = (row / rows, row % rows);
            let block = (group * row_blocks + row / width) * channel_blocks * parts;
            let pieces = output.chunks_mut(channels * g.taps).zip(results[block..].chunks(parts));
            for (sums, results) in pieces {
                for result in results {
                    let found = &result[row % width * sums.len()..][..sums.len()];
                    for (sum, found) in sums.iter_mut().zip(found) {
                        *sum += found;
                    }
                }
            }
        });
        output
    }
}

/// How many coarse channels this processor sums at once.
struct Width;

impl WithSimd for Width {
    type Output = usize;

    fn with_simd<S: Simd>(self, _: S) -> usize {
        VECTORS * S::F32_LANES
    }
}

struct Outer<'a, 'b> {
    signals: &'a Signals<'a>,
    layout: &'a Layout,
    task: Task<'b>,
    scratch: &'a mut Scratch,
}

impl WithSimd for Outer<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.task.rows.len().div_ceil(S::F32_LANES) {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            _ => self.run::<S, VECTORS>(simd),
        }
    }
}

impl Outer<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { signals: s, layout, task, scratch: Scratch { tile, vectors, sums } } = self;
        let g = s.g;
        let width = V * S::F32_LANES;
        let pitch = layout.pitch();
        // Where each pair of a fine channel and a tap reads the tile.
        let places: Vec<usize> = (0..task.channels.len())
            .flat_map(|channel| (0..g.taps).map(move |tap| channel * pitch + layout.place(tap * g.dilation)))
            .collect();
        let sums = &mut sums[..places.len().next_multiple_of(ROWS) * width];
        sums.fill(0.0);
        for &(item, start, positions) in task.tiles {
            let fine = Signals::channel(g.fine, s.fine, item, task.group * s.depth + task.channels.start);
            layout.copy(fine, g.fine.length, start, positions, &mut tile[..task.channels.len() * pitch]);
            let coarse = Signals::channel(g.coarse, s.coarse, item, task.group * s.rows + task.rows.start);
            let vectors = &mut vectors[..positions * width];
            transpose_rows(&coarse[start..], g.coarse.length, task.rows.len(), vectors, width);
            let rows_at_once = rows_at_once::<S>();
            for (places, sums) in places.chunks(rows_at_once).zip(sums.chunks_exact_mut(rows_at_once * width)) {
                if rows_at_once == ROWS {
                    add_outer::<S, ROWS, V>(simd, rows_at(tile, places), vectors, sums);
                } else {
                    add_outer::<S, { ROWS / 2 }, V>(simd, rows_at(tile, places), vectors, sums);
                }
            }
        }
        let pairs = places.len();
        let mut transposed = vec![0.0; pairs * width];
        transpose(&sums[..pairs * width], width, &mut transposed);
        *task.result = transposed;
    }
}

/// What lies in `tile` from each of `places` on, the last one again where there are fewer.
#[inline(always)]
fn rows_at<'a, const N: usize>(tile: &'a [f32], places: &[usize]) -> [&'a [f32]; N] {
    std::array::from_fn(|index| &tile[places[index.min(places.len() - 1)]..])
}

/// Channels last: `rows` rows of `source`, `length` values apart, to columns of `target`, rows of `width` values, of which the
/// rest becomes zero.
#[inline(always)]
fn transpose_rows(source: &[f32], length: usize, rows: usize, target: &mut [f32], width: usize) {
    for (block, target) in target.chunks_mut(WIDEST * width).enumerate() {
        for column in 0..rows {
            let source = &source[column * length + block * WIDEST..];
            for (target, value) in target.chunks_exact_mut(width).zip(source) {
                target[column] = *value;
            }
        }
        for target in target.chunks_exact_mut(width) {
            target[rows..].fill(0.0);
        }
    }
}

// Vectors of time: for groups of few channels, one pair of channels after another.

impl Signals<'_> {
    fn by_pairs(&self) -> Vec<f32> {
        let g = self.g;
        let layout = self.layout(1);
        let tiles = self.tiles(layout.width);
        let pairs = g.coarse.channels * self.depth;
        let pairs_at_once = pairs.div_ceil(ENOUGH);
        let mut output = vec![0.0; pairs * g.taps];
        let tasks = output.chunks_mut(pairs_at_once * g.taps).enumerate().collect();
        let scratch =
            || Scratch { tile: vec![0.0; layout.pitch()], vectors: vec![0.0; layout.width + WIDEST], sums: vec![] };
        share(tasks, scratch, |scratch, (index, sums)| {
            let first = index * pairs_at_once;
            pulp::Arch::new().dispatch(Dots { signals: self, layout: &layout, tiles: &tiles, first, sums, scratch });
        });
        output
    }
}

struct Dots<'a> {
    signals: &'a Signals<'a>,
    layout: &'a Layout,
    tiles: &'a [(usize, usize, usize)],
    /// The first of the pairs that `sums` belong to.
    first: usize,
    sums: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        /// Taps that share a vector of the coarse signal.
        const TAPS: usize = 6;
        let Self { signals: s, layout, tiles, first, sums, scratch } = self;
        let g = s.g;
        let places: Vec<usize> = (0..g.taps).map(|tap| layout.place(tap * g.dilation)).collect();
        for (index, sums) in sums.chunks_exact_mut(g.taps).enumerate() {
            let (row, channel) = ((first + index) / s.depth, (first + index) % s.depth);
            for &(item, start, positions) in tiles {
                let fine = Signals::channel(g.fine, s.fine, item, row / s.rows * s.depth + channel);
                layout.copy(fine, g.fine.length, start, positions, &mut scratch.tile);
                let coarse = &Signals::channel(g.coarse, s.coarse, item, row)[start..][..positions];
                let left = &mut scratch.vectors[..positions.next_multiple_of(WIDEST)];
                left[..positions].copy_from_slice(coarse);
                left[positions..].fill(0.0);
                for (sums, places) in sums.chunks_mut(TAPS).zip(places.chunks(TAPS)) {
                    let found = dot::<S, TAPS>(simd, left, rows_at(&scratch.tile, places));
                    for (sum, found) in sums.iter_mut().zip(found) {
                        *sum += found;
                    }
                }
            }
        }
    }
}
