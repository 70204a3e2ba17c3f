//! A matrix made narrow: nothing but a few diagonals, and the same singular values.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder::{
    apply_block_householder_sequence_transpose_on_the_left_in_place_scratch as apply_scratch,
    apply_block_householder_sequence_transpose_on_the_left_in_place_with_conj as apply,
};
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Conj, Mat, MatMut, MatRef, Par, Spec};

/// Diagonals above the main one: fewer make the products of this step slow, more make the next step long. A power of two.
pub(super) const WIDTH: usize = 16;

/// Below as many values, a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 14;

/// Turns rows and columns until only the diagonal and `WIDTH` diagonals above it are left (the first step of Großer and Lang,
/// "Efficient parallel reduction to bidiagonal form", 1999): nearly all of it matrix products, where the direct way to two
/// diagonals reads the whole matrix for each row and column. What stands elsewhere is not cleared.
///
/// # Shapes
/// - matrix: `[row, column]`, no fewer rows than columns
pub(super) fn narrow(mut matrix: MatMut<'_, f64>) {
    let size = matrix.ncols();
    for start in (0..size).step_by(WIDTH) {
        let (mut panel, mut rest) = matrix.rb_mut().get_mut(start.., start..).split_at_col_mut(WIDTH.min(size - start));
        let factor = reflect(panel.rb_mut());
        on_the_left(panel.rb(), factor.as_ref(), rest.rb_mut());
        let (above, below) = rest.split_at_row_mut(panel.ncols());
        let mut panel = above.rb().transpose().to_owned();
        let factor = reflect(panel.as_mut());
        on_the_left(panel.as_ref(), factor.as_ref(), below.transpose_mut());
        above.transpose_mut().copy_from(&panel);
    }
}

/// Replaces a matrix by its upper triangle and, below that, the reflections that make it; returns the factors that go with
/// them.
fn reflect(mut panel: MatMut<'_, f64>) -> Mat<f64> {
    let (rows, columns) = panel.shape();
    let count = rows.min(columns);
    let mut factor = Mat::zeros(count.max(1), count);
    let mut memory = MemBuffer::new(qr_in_place_scratch::<f64>(rows, columns, count.max(1), Par::Seq, Spec::default()));
    qr_in_place(panel.rb_mut(), factor.as_mut(), Par::Seq, MemStack::new(&mut memory), Spec::default());
    factor
}

/// Reflects columns, in two threads where there are many. The halves do not depend on the threads, nor do the results.
fn on_the_left(basis: MatRef<'_, f64>, factor: MatRef<'_, f64>, matrix: MatMut<'_, f64>) {
    let apply = |matrix: MatMut<'_, f64>| {
        let mut memory = MemBuffer::new(apply_scratch::<f64>(basis.nrows(), factor.nrows(), matrix.ncols()));
        apply(basis, factor, Conj::No, matrix, Par::Seq, MemStack::new(&mut memory));
    };
    if matrix.nrows() * matrix.ncols() < WORTH_A_THREAD {
        return apply(matrix);
    }
    let half = matrix.ncols() / 2;
    let (left, right) = matrix.split_at_col_mut(half);
    rayon::join(|| apply(left), || apply(right));
}
