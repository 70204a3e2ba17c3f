//! Matrix products on slices: the `gemm` crate behind bounds checks.

use gemm::Parallelism;

/// A matrix laid over `values`: element (i, j) is at `i · row_stride + j · column_stride`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub values: &'a [f32],
    pub strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Rows of `width` values, one after another.
    pub fn rows(values: &'a [f32], width: usize) -> Self {
        Self { values, strides: [width, 1] }
    }

    /// The same values with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        let [row, column] = self.strides;
        Self { strides: [column, row], ..self }
    }
}

/// `output (+)= left · right` on the calling thread, where `output` holds `shape[0]` rows of `width` or more values, and
/// `shape` is `[rows, inner, columns]`. The order of additions depends on `shape` alone.
pub(super) fn multiply(
    output: &mut [f32],
    width: usize,
    left: Matrix,
    right: Matrix,
    shape: [usize; 3],
    accumulate: bool,
) {
    let [rows, inner, columns] = shape;
    check(output.len(), [width, 1], [rows, columns]);
    check(left.values.len(), left.strides, [rows, inner]);
    check(right.values.len(), right.strides, [inner, columns]);
    let [left_row, left_column] = left.strides.map(usize::cast_signed);
    let [right_row, right_column] = right.strides.map(usize::cast_signed);
    // SAFETY: every element that the three shapes and strides address lies inside its slice, as just checked; `output`
    // is borrowed mutably, so that it overlaps neither input.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            output.as_mut_ptr(),
            1,
            width.cast_signed(),
            accumulate,
            left.values.as_ptr(),
            left_column,
            left_row,
            right.values.as_ptr(),
            right_column,
            right_row,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

fn check(length: usize, strides: [usize; 2], shape: [usize; 2]) {
    if shape.contains(&0) {
        return;
    }
    let last = (shape[0] - 1) * strides[0] + (shape[1] - 1) * strides[1];
    assert!(last < length, "a matrix of {shape:?} with strides {strides:?} over {length} values");
}

/// Exchanges rows and columns of the row-major matrix `source` of `columns` columns.
pub(super) fn transpose(source: &[f32], columns: usize, target: &mut [f32]) {
    /// Both sides of a block stay in the first-level cache.
    const BLOCK: usize = 32;
    let rows = source.len() / columns;
    for row in (0..rows).step_by(BLOCK) {
        let row_end = rows.min(row + BLOCK);
        for column in (0..columns).step_by(BLOCK) {
            for j in column..columns.min(column + BLOCK) {
                for (i, value) in target[j * rows + row..j * rows + row_end].iter_mut().enumerate() {
                    *value = source[(row + i) * columns + j];
                }
            }
        }
    }
}
