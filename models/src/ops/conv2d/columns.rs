//! Between an image and its columns: for every tap of every channel, the row of values that the output positions of a tile
//! see through it.

use std::ops::Range;

use super::geometry::Geometry;

/// Output positions of a tile in one row of the output.
struct Segment {
    /// Where they lie in the tile.
    tile: Range<usize>,
    /// The output row, and the first output column.
    row: usize,
    column: usize,
}

/// Made once a tile, for all its taps.
fn segments(positions: &Range<usize>, width: usize) -> Vec<Segment> {
    let Range { start, end } = *positions;
    let segment = |row| {
        let (first, last) = (start.max(row * width), end.min((row + 1) * width));
        Segment { tile: first - start..last - start, row, column: first - row * width }
    };
    (start / width..end.div_ceil(width)).map(segment).collect()
}

/// The output columns that see the input, not its padding, through one column of the kernel.
struct Reach {
    columns: Range<usize>,
    offset: usize,
    stride: usize,
    padding: usize,
}

impl Reach {
    /// Column c of the output sees column c · stride + offset − padding of the input.
    fn new(g: &Geometry, offset: usize) -> Self {
        let (width, stride, padding) = (g.input[1], g.stride[1], g.padding[1]);
        let first = padding.saturating_sub(offset).div_ceil(stride);
        let beyond = (width + padding).saturating_sub(offset).div_ceil(stride);
        Self { columns: first..beyond, offset, stride, padding }
    }

    /// The part of `segment` that sees the input, and the input column that its first position sees.
    fn of(&self, segment: &Segment) -> (Range<usize>, usize) {
        let length = segment.tile.len();
        let low = self.columns.start.saturating_sub(segment.column).min(length);
        let high = self.columns.end.saturating_sub(segment.column).clamp(low, length);
        (low..high, ((segment.column + low) * self.stride + self.offset).saturating_sub(self.padding))
    }
}

/// Fills `columns`, rows of `pitch` values, one for each tap of each of `planes`' channels, with what `positions` see.
#[inline(always)]
pub(super) fn gather(g: &Geometry, planes: &[f32], positions: &Range<usize>, columns: &mut [f32], pitch: usize) {
    let [height, width] = g.input;
    let mut rows = columns.chunks_exact_mut(pitch);
    let segments = segments(positions, g.output[1]);
    for plane in planes.chunks_exact(height * width) {
        for tap_row in 0..g.kernel[0] {
            for tap_column in 0..g.kernel[1] {
                let target = rows.next().expect("a row for every tap of every channel");
                let reach = Reach::new(g, tap_column);
                for segment in &segments {
                    let target = &mut target[segment.tile.clone()];
                    let y = (segment.row * g.stride[0] + tap_row).wrapping_sub(g.padding[0]);
                    if y >= height {
                        target.fill(0.0);
                        continue;
                    }
                    let line = &plane[y * width..][..width];
                    let (part, first) = reach.of(segment);
                    target[..part.start].fill(0.0);
                    target[part.end..].fill(0.0);
                    let target = &mut target[part];
                    if target.is_empty() {
                        continue;
                    }
                    if g.stride[1] == 1 {
                        target.copy_from_slice(&line[first..][..target.len()]);
                    } else if g.stride[1] == 2 {
                        // Pairs, which can be read in whole vectors.
                        let (pairs, rest) = line[first..].as_chunks::<2>();
                        for (value, [seen, _]) in target.iter_mut().zip(pairs) {
                            *value = *seen;
                        }
                        if let (Some(value), Some(seen)) = (target.get_mut(pairs.len()), rest.first()) {
                            *value = *seen;
                        }
                    } else {
                        for (value, seen) in target.iter_mut().zip(line[first..].iter().step_by(g.stride[1])) {
                            *value = *seen;
                        }
                    }
                }
            }
        }
    }
}

/// Adds `columns`, laid out as [`gather`] fills them, to the places that they see.
#[inline(always)]
pub(super) fn scatter(g: &Geometry, columns: &[f32], pitch: usize, positions: &Range<usize>, planes: &mut [f32]) {
    let [height, width] = g.input;
    let mut rows = columns.chunks_exact(pitch);
    let segments = segments(positions, g.output[1]);
    for plane in planes.chunks_exact_mut(height * width) {
        for tap_row in 0..g.kernel[0] {
            for tap_column in 0..g.kernel[1] {
                let source = rows.next().expect("a row for every tap of every channel");
                let reach = Reach::new(g, tap_column);
                for segment in &segments {
                    let y = (segment.row * g.stride[0] + tap_row).wrapping_sub(g.padding[0]);
                    if y >= height {
                        continue;
                    }
                    let (part, first) = reach.of(segment);
                    let source = &source[segment.tile.clone()][part];
                    let line = &mut plane[y * width..][..width];
                    for (value, seen) in line.iter_mut().skip(first).step_by(g.stride[1]).zip(source) {
                        *value += seen;
                    }
                }
            }
        }
    }
}
