//! Between images, channels first, and the values of their tiles at the points, channels last.

use std::ops::Range;

use pulp::Simd;

use super::product::Panel;
use super::transform::{IN, OUT, Vectors};

/// Channels that lie side by side.
pub(super) const GROUP: usize = 16;

/// Values of a group of channels at one place: a line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Group(pub [f32; GROUP]);

pub(super) const ZERO: Group = Group([0.0; GROUP]);

#[inline(always)]
fn load<S: Simd>(group: &Group, part: usize) -> S::f32s {
    S::as_simd_f32s(&group.0).0[part]
}

#[inline(always)]
fn store<S: Simd>(group: &mut Group, part: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut group.0).0[part] = value;
}

/// Up to a group of planes of one image.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    pub values: &'a [f32],
    /// Height and width.
    pub size: [usize; 2],
}

/// A row of tiles of an image: its first row, the first column of its first tile, both above or left of the image where
/// that is padded, and how many tiles.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub top: isize,
    pub left: isize,
    pub tiles: usize,
}

impl Strip {
    /// The row of the image that is the strip's `row`th, if there is one.
    fn row(&self, row: usize, rows: usize) -> Option<usize> {
        self.top.checked_add_unsigned(row)?.try_into().ok().filter(|row| *row < rows)
    }

    /// Which of `width` columns lie in the image, and the first of them as the image counts.
    fn inside(&self, width: usize, image: usize) -> (Range<usize>, usize) {
        let low = width.min(0usize.saturating_add_signed(self.left.saturating_neg()));
        let high = image.saturating_add_signed(self.left.saturating_neg()).clamp(low, width);
        (low..high, low.saturating_add_signed(self.left).min(image))
    }
}

/// Fills `patch`, rows of `width` places, with what lies under the strip, and zeros beside the image.
#[inline(always)]
fn gather(planes: Planes, strip: Strip, width: usize, patch: &mut [Group]) {
    let [rows, columns] = planes.size;
    let (inside, first) = strip.inside(width, columns);
    let whole = planes.values.len() == GROUP * rows * columns;
    for (row, line) in patch.chunks_exact_mut(width).enumerate() {
        if whole && strip.row(row, rows).is_some() {
            line[..inside.start].fill(ZERO);
            line[inside.end..].fill(ZERO);
        } else {
            line.fill(ZERO);
        }
    }
    // Plane after plane: their rows lie behind one another.
    for (quad, planes) in planes.values.chunks(4 * rows * columns).enumerate() {
        let lane = 4 * quad;
        for (row, line) in patch.chunks_exact_mut(width).enumerate() {
            let Some(row) = strip.row(row, rows) else { continue };
            let seen = row * columns + first..row * columns + first + inside.len();
            let line = &mut line[inside.clone()];
            let mut planes = planes.chunks_exact(rows * columns).map(|plane| &plane[seen.clone()]);
            if planes.len() == 4 {
                let [a, b, c, d] = [(); 4].map(|()| planes.next().expect("four planes"));
                interleave([a, b, c, d], line, lane);
            } else {
                for (offset, plane) in planes.enumerate() {
                    for (group, value) in line.iter_mut().zip(plane) {
                        group.0[lane + offset] = *value;
                    }
                }
            }
        }
    }
}

/// Lays four lines into four lanes, the first of them `lane`.
#[inline(always)]
fn interleave(lines: [&[f32]; 4], groups: &mut [Group], lane: usize) {
    let [first, second, third, fourth] = lines.map(|line| line.as_chunks::<4>().0);
    let whole = first.len() * 4;
    let (blocks, rest) = groups.split_at_mut(whole);
    let blocks = blocks.as_chunks_mut::<4>().0;
    for ((((block, a), b), c), d) in blocks.iter_mut().zip(first).zip(second).zip(third).zip(fourth) {
        for place in 0..4 {
            let quad: &mut [f32; 4] = block[place].0[lane..].first_chunk_mut().expect("four lanes");
            *quad = [a[place], b[place], c[place], d[place]];
        }
    }
    for (place, group) in rest.iter_mut().enumerate() {
        for offset in 0..4 {
            group.0[lane + offset] = lines[offset][whole + place];
        }
    }
}

/// Takes four lanes, the first of them `lane`, apart into four lines, and adds a number to each.
#[inline(always)]
pub(super) fn deinterleave(groups: &[Group], lane: usize, lines: [&mut [f32]; 4], bias: [f32; 4]) {
    let [first, second, third, fourth] = lines;
    let whole = first.len() / 4 * 4;
    let (a, a_rest) = first.as_chunks_mut::<4>();
    let (b, b_rest) = second.as_chunks_mut::<4>();
    let (c, c_rest) = third.as_chunks_mut::<4>();
    let (d, d_rest) = fourth.as_chunks_mut::<4>();
    let blocks = groups.as_chunks::<4>().0;
    for ((((block, a), b), c), d) in blocks.iter().zip(a).zip(b).zip(c).zip(d) {
        let quad = |place: usize| -> [f32; 4] { *block[place].0[lane..].first_chunk().expect("four lanes") };
        let [p, q, r, s] = [quad(0), quad(1), quad(2), quad(3)];
        for (offset, line) in [a, b, c, d].into_iter().enumerate() {
            *line = [
                p[offset] + bias[offset],
                q[offset] + bias[offset],
                r[offset] + bias[offset],
                s[offset] + bias[offset],
            ];
        }
    }
    for (offset, rest) in [a_rest, b_rest, c_rest, d_rest].into_iter().enumerate() {
        for (value, group) in rest.iter_mut().zip(&groups[whole..]) {
            *value = group.0[lane + offset] + bias[offset];
        }
    }
}

/// Where a strip's values at the points go: point p of tile t at `p · pitch + t`.
pub(super) struct Points<'a> {
    pub values: &'a mut [Group],
    pub pitch: usize,
}

/// The values of inputs at the points.
#[inline(always)]
pub(super) fn of_input<S: Simd>(simd: S, planes: Planes, strip: Strip, patch: &mut [Group], points: Points) {
    let width = OUT * strip.tiles + IN - OUT;
    let patch = &mut patch[..IN * width];
    gather(planes, strip, width, patch);
    let vectors = Vectors(simd);
    for part in 0..GROUP / S::F32_LANES {
        for column in 0..width {
            let mut values = [simd.splat_f32s(0.0); IN];
            for row in 0..IN {
                values[row] = load::<S>(&patch[row * width + column], part);
            }
            let values = vectors.of_input(values);
            for row in 0..IN {
                store::<S>(&mut patch[row * width + column], part, values[row]);
            }
        }
        for row in 0..IN {
            for tile in 0..strip.tiles {
                let line: &[Group; IN] = patch[row * width + tile * OUT..].first_chunk().expect("a tile");
                let mut values = [simd.splat_f32s(0.0); IN];
                for column in 0..IN {
                    values[column] = load::<S>(&line[column], part);
                }
                let values = vectors.of_input(values);
                for column in 0..IN {
                    store::<S>(&mut points.values[(row * IN + column) * points.pitch + tile], part, values[column]);
                }
            }
        }
    }
}

/// The values of gradients of outputs at the points.
#[inline(always)]
pub(super) fn of_gradient<S: Simd>(simd: S, planes: Planes, strip: Strip, patch: &mut [Group], points: Points) {
    let width = OUT * strip.tiles;
    // Six rows are made of the four.
    let patch = &mut patch[..IN * width];
    gather(planes, strip, width, &mut patch[..OUT * width]);
    let vectors = Vectors(simd);
    for part in 0..GROUP / S::F32_LANES {
        for column in 0..width {
            let mut values = [simd.splat_f32s(0.0); OUT];
            for row in 0..OUT {
                values[row] = load::<S>(&patch[row * width + column], part);
            }
            let values = vectors.of_gradient(values);
            for row in 0..IN {
                store::<S>(&mut patch[row * width + column], part, values[row]);
            }
        }
        for row in 0..IN {
            for tile in 0..strip.tiles {
                let line: &[Group; OUT] = patch[row * width + tile * OUT..].first_chunk().expect("a tile");
                let mut values = [simd.splat_f32s(0.0); OUT];
                for column in 0..OUT {
                    values[column] = load::<S>(&line[column], part);
                }
                let values = vectors.of_gradient(values);
                for column in 0..IN {
                    store::<S>(&mut points.values[(row * IN + column) * points.pitch + tile], part, values[column]);
                }
            }
        }
    }
}

/// Outputs of a strip, of one half of a panel, from the products at its points: point p of tile t at `p · pitch + t`;
/// `patch` receives rows of `4 · tiles` places.
#[inline(always)]
pub(super) fn to_output<S: Simd>(
    simd: S,
    products: &[Panel],
    half: usize,
    pitch: usize,
    tiles: usize,
    patch: &mut [Group],
) {
    let width = OUT * tiles;
    let vectors = Vectors(simd);
    for part in 0..GROUP / S::F32_LANES {
        for tile in 0..tiles {
            let mut rows = [[simd.splat_f32s(0.0); IN]; OUT];
            for column in 0..IN {
                let mut values = [simd.splat_f32s(0.0); IN];
                for row in 0..IN {
                    values[row] = load::<S>(&products[(row * IN + column) * pitch + tile][half], part);
                }
                let values = vectors.to_output(values);
                for row in 0..OUT {
                    rows[row][column] = values[row];
                }
            }
            for row in 0..OUT {
                let values = vectors.to_output(rows[row]);
                for column in 0..OUT {
                    store::<S>(&mut patch[row * width + tile * OUT + column], part, values[column]);
                }
            }
        }
    }
}

/// A row of kernels' three-by-three taps at the points; `points[p]` for each.
#[inline(always)]
pub(super) fn of_weight<S: Simd>(simd: S, taps: &[Group; 9], points: &mut [Group; IN * IN]) {
    let vectors = Vectors(simd);
    for part in 0..GROUP / S::F32_LANES {
        let mut rows = [[simd.splat_f32s(0.0); 3]; IN];
        for column in 0..3 {
            let mut values = [simd.splat_f32s(0.0); 3];
            for row in 0..3 {
                values[row] = load::<S>(&taps[row * 3 + column], part);
            }
            let values = vectors.of_weight(values);
            for row in 0..IN {
                rows[row][column] = values[row];
            }
        }
        for row in 0..IN {
            let values = vectors.of_weight(rows[row]);
            for column in 0..IN {
                store::<S>(&mut points[row * IN + column], part, values[column]);
            }
        }
    }
}

/// The transpose of [`of_weight`].
#[inline(always)]
pub(super) fn to_weight<S: Simd>(simd: S, points: &[Group; IN * IN], taps: &mut [Group; 9]) {
    let vectors = Vectors(simd);
    for part in 0..GROUP / S::F32_LANES {
        let mut rows = [[simd.splat_f32s(0.0); IN]; 3];
        for column in 0..IN {
            let mut values = [simd.splat_f32s(0.0); IN];
            for row in 0..IN {
                values[row] = load::<S>(&points[row * IN + column], part);
            }
            let values = vectors.to_weight(values);
            for row in 0..3 {
                rows[row][column] = values[row];
            }
        }
        for row in 0..3 {
            let values = vectors.to_weight(rows[row]);
            for column in 0..3 {
                store::<S>(&mut taps[row * 3 + column], part, values[column]);
            }
        }
    }
}
