//! A narrow matrix made narrower: the diagonal and one above it, and the same singular values.

// What is not inlined into `vectorised` is compiled for the oldest instruction set.
#![allow(clippy::inline_always)]

use faer::MatRef;
use nocturne_models::ops::vectorised;

use super::band::WIDTH;

/// From a value to the one on its right.
const STEP: usize = 3 * WIDTH - 1;

/// Reflections of vectors shorter than this would divide by zero. Vectors of this length are none, beside values near 1.
const NOTHING: f64 = 1e-290;

/// A matrix of `WIDTH` diagonals above the main one, with room for what fills up around them while they are chased away.
///
/// Value (i, j) is at j · `STEP` + i + 2 `WIDTH`: column by column, from 2 `WIDTH` above the diagonal to `WIDTH` below, and
/// empty columns at the end, so that every window is whole.
struct Band {
    values: Vec<f64>,
    size: usize,
}

/// The diagonal of a matrix, and the one above it.
pub(super) struct TwoDiagonals {
    pub diagonal: Vec<f64>,
    pub above: Vec<f64>,
}

/// Chases all diagonals but two out of a matrix (the second step of Großer and Lang, 1999): a row is cleared by a reflection of
/// `WIDTH` columns, which fills up what is below the diagonal there; its first column is cleared by a reflection of rows, which
/// fills up a row further down, and so on to the end.
///
/// # Shapes
/// - matrix: `[row, column]`, no fewer rows than columns, whose diagonal and `WIDTH` diagonals above it are read
pub(super) fn two_diagonals(matrix: MatRef<'_, f64>) -> TwoDiagonals {
    let mut band = Band::new(matrix);
    vectorised(
        #[inline(always)]
        || band.chase(),
    );
    let size = band.size;
    TwoDiagonals {
        diagonal: (0..size).map(|index| band.values[place(index, index)]).collect(),
        above: (1..size).map(|index| band.values[place(index - 1, index)]).collect(),
    }
}

fn place(row: usize, column: usize) -> usize {
    column * STEP + row + 2 * WIDTH
}

impl Band {
    fn new(matrix: MatRef<'_, f64>) -> Self {
        let size = matrix.ncols();
        let mut values = vec![0.0; place(0, size + 2 * WIDTH) + size + 2 * WIDTH];
        for column in 0..size {
            for row in column.saturating_sub(WIDTH)..=column {
                values[place(row, column)] = matrix[(row, column)];
            }
        }
        Self { values, size }
    }

    #[inline(always)]
    fn chase(&mut self) {
        for row in 0..self.size.saturating_sub(1) {
            self.turn_columns(row + 1, WIDTH - 1);
            self.turn_rows(row + 1);
            for first in (row + 1 + WIDTH..self.size).step_by(WIDTH) {
                self.turn_columns(first, 0);
                self.turn_rows(first);
            }
        }
    }

    /// Turns `WIDTH` columns, so that a row has nothing but its first value in them; the row is counted from `WIDTH` above the
    /// diagonal's.
    #[inline(always)]
    fn turn_columns(&mut self, first: usize, row: usize) {
        let start = place(first, first) - WIDTH;
        let mut vector = [0.0; WIDTH];
        for (index, value) in vector.iter_mut().enumerate() {
            *value = self.values[start + index * STEP + row];
        }
        let Some((scale, head)) = reflection(&mut vector) else { return };
        let mut sums = [0.0; 2 * WIDTH];
        for (index, weight) in vector.iter().enumerate() {
            let column = self.window::<{ 2 * WIDTH }>(start + index * STEP);
            for lane in 0..2 * WIDTH {
                sums[lane] = weight.mul_add(column[lane], sums[lane]);
            }
        }
        for (index, weight) in vector.iter().enumerate() {
            let weight = -scale * weight;
            let column = self.window::<{ 2 * WIDTH }>(start + index * STEP);
            for lane in 0..2 * WIDTH {
                column[lane] = weight.mul_add(sums[lane], column[lane]);
            }
            column[row] = 0.0;
        }
        self.values[start + row] = head;
    }

    /// Turns `WIDTH` rows, so that their first column has nothing but its first value.
    #[inline(always)]
    fn turn_rows(&mut self, first: usize) {
        let start = place(first, first);
        let mut vector = *self.window::<WIDTH>(start);
        let Some((scale, head)) = reflection(&mut vector) else { return };
        for index in 1..2 * WIDTH {
            let column = self.window::<WIDTH>(start + index * STEP);
            let sum = -scale * dot(&vector, column);
            for lane in 0..WIDTH {
                column[lane] = sum.mul_add(vector[lane], column[lane]);
            }
        }
        let column = self.window::<WIDTH>(start);
        *column = [0.0; WIDTH];
        column[0] = head;
    }

    #[inline(always)]
    fn window<const LENGTH: usize>(&mut self, start: usize) -> &mut [f64; LENGTH] {
        let Some(window) = self.values[start..].first_chunk_mut() else { unreachable!("the last columns are empty") };
        window
    }
}

/// Makes of x the vector v of a reflection I − s·v·vᵀ that leaves nothing but its first value; returns s and that value. Nothing
/// where there is nothing to be cleared.
#[inline(always)]
fn reflection(vector: &mut [f64; WIDTH]) -> Option<(f64, f64)> {
    let head = std::mem::take(&mut vector[0]);
    let tail = dot(vector, vector);
    if tail <= NOTHING {
        return None;
    }
    let length = head.mul_add(head, tail).sqrt().copysign(head);
    vector[0] = head + length;
    Some((1.0 / (length * vector[0]), -length))
}

#[inline(always)]
fn dot(left: &[f64; WIDTH], right: &[f64; WIDTH]) -> f64 {
    let mut lanes = [0.0; WIDTH / 2];
    for lane in 0..WIDTH / 2 {
        lanes[lane] = left[lane] * right[lane];
    }
    for lane in 0..WIDTH / 2 {
        lanes[lane] = left[lane + WIDTH / 2].mul_add(right[lane + WIDTH / 2], lanes[lane]);
    }
    let mut half = WIDTH / 4;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}
