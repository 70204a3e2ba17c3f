//! A matrix made narrow: nothing but a few diagonals, and the same singular values.

use std::cmp::Ordering;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par, Spec};

/// Diagonals above the main one: fewer make the products of this step slow, more make the next step long. A power of two.
pub(super) const WIDTH: usize = 16;

/// Below as many values, a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 14;

/// Turns rows and columns until only the diagonal and `WIDTH` diagonals above it are left (the first step of Großer and Lang,
/// "Efficient parallel reduction to bidiagonal form", 1999): nearly all of it matrix products, where the direct way to two
/// diagonals reads the whole matrix for each row and column. What stands elsewhere is not cleared.
///
/// The rows and the columns of a round are turned at once, as in Dongarra, Sorensen and Hammarling ("Block reduction of matrices
/// to condensed forms for eigenvalue computations", 1989): A − V·Wᵀ, and that less Z·Uᵀ, is one product of twice the depth.
///
/// # Shapes
/// - matrix: `[row, column]`, no fewer rows than columns
pub(super) fn narrow(mut matrix: MatMut<'_, f64>) {
    let size = matrix.ncols();
    for start in (0..size).step_by(WIDTH) {
        let width = WIDTH.min(size - start);
        let (panel, rest) = matrix.rb_mut().get_mut(start.., start..).split_at_col_mut(width);
        if rest.ncols() == 0 {
            reflect(panel);
            return;
        }
        let rows = reflect(panel);
        let mut from_left = Mat::zeros(width, rest.ncols());
        multiply(from_left.as_mut(), Accum::Replace, rows.weighted.transpose(), rest.rb(), 1.0);

        let (mut above, below) = rest.split_at_row_mut(width);
        let (basis, basis_below) = rows.basis.split_at_row(width);
        multiply(above.rb_mut(), Accum::Add, basis, from_left.as_ref(), -1.0);
        let mut panel = above.rb().transpose().to_owned();
        let columns = reflect(panel.as_mut());
        above.copy_from(panel.transpose());
        if below.nrows() == 0 {
            return;
        }
        let count = columns.basis.ncols();
        let mut left = Mat::zeros(below.nrows(), width + count);
        left.get_mut(.., ..width).copy_from(basis_below);
        let mut turned = left.get_mut(.., width..);
        multiply(turned.rb_mut(), Accum::Replace, below.rb(), columns.weighted.as_ref(), 1.0);
        multiply(turned, Accum::Add, basis_below, (&from_left * &columns.weighted).as_ref(), -1.0);
        let mut right = Mat::zeros(width + count, below.ncols());
        right.get_mut(..width, ..).copy_from(&from_left);
        right.get_mut(width.., ..).copy_from(columns.basis.transpose());
        multiply(below, Accum::Add, left.as_ref(), right.as_ref(), -1.0);
    }
}

/// What turns a panel into its triangle, I − `basis`·`weighted`ᵀ: V and V·T⁻¹ of the compact form of its reflections (Schreiber
/// and Van Loan, "A storage-efficient WY representation for products of Householder transformations", 1989). Each is
/// `[row, reflection]`.
struct Reflections {
    basis: Mat<f64>,
    weighted: Mat<f64>,
}

/// Replaces a matrix by its upper triangle, and returns the reflections that make it. What stands below is not cleared.
fn reflect(mut panel: MatMut<'_, f64>) -> Reflections {
    let (rows, columns) = panel.shape();
    let count = rows.min(columns);
    let mut factor = Mat::zeros(count, count);
    let mut memory = MemBuffer::new(qr_in_place_scratch::<f64>(rows, columns, count, Par::Seq, Spec::default()));
    qr_in_place(panel.rb_mut(), factor.as_mut(), Par::Seq, MemStack::new(&mut memory), Spec::default());
    let basis = Mat::from_fn(rows, count, |row, column| match row.cmp(&column) {
        Ordering::Less => 0.0,
        Ordering::Equal => 1.0,
        Ordering::Greater => panel[(row, column)],
    });
    let weighted = &basis * inverse(factor.as_ref());
    Reflections { basis, weighted }
}

/// Of an upper triangle, whose diagonal is infinite where nothing is reflected.
fn inverse(factor: MatRef<'_, f64>) -> Mat<f64> {
    let mut inverse = Mat::<f64>::zeros(factor.nrows(), factor.ncols());
    for column in 0..factor.ncols() {
        let scale = factor[(column, column)].recip();
        for row in 0..column {
            let sum: f64 = (row..column).map(|index| inverse[(row, index)] * factor[(index, column)]).sum();
            inverse[(row, column)] = -sum * scale;
        }
        inverse[(column, column)] = scale;
    }
    inverse
}

/// One matrix product, in two threads where it is large. The halves do not depend on the threads, nor do the results.
fn multiply(result: MatMut<'_, f64>, accum: Accum, left: MatRef<'_, f64>, right: MatRef<'_, f64>, scale: f64) {
    let (rows, columns) = result.shape();
    let product = |result: MatMut<'_, f64>, left: MatRef<'_, f64>, right: MatRef<'_, f64>| {
        matmul(result, accum, left, right, scale, Par::Seq);
    };
    if left.nrows().max(left.ncols()) * right.nrows().max(right.ncols()) < WORTH_A_THREAD {
        product(result, left, right);
    } else if rows > columns {
        let ((upper, lower), (above, below)) = (result.split_at_row_mut(rows / 2), left.split_at_row(rows / 2));
        rayon::join(|| product(upper, above, right), || product(lower, below, right));
    } else {
        let (first, second) = result.split_at_col_mut(columns / 2);
        let (before, behind) = right.split_at_col(columns / 2);
        rayon::join(|| product(first, left, before), || product(second, left, behind));
    }
}
