//! The singular values of a matrix of two diagonals, added up.

// What is not inlined into `vectorised` is compiled for the oldest instruction set.
#![allow(clippy::inline_always)]

use nocturne_models::ops::vectorised;

use super::chase::TwoDiagonals;

/// Steps for one singular value before it is called hopeless: three or four are usual.
const MOST: usize = 50;

/// The sum of the singular values; nothing where their iteration does not end.
///
/// The differential quotient-difference algorithm with shifts (Fernando and Parlett, "Accurate singular values and differential
/// qd algorithms", 1994; the shift as in Parlett and Marques, "An implementation of the dqds algorithm", 2000), which takes
/// but one division for each row and step. Each singular value is as precise as ε of the largest.
pub(super) fn sum_of_singular_values(matrix: &TwoDiagonals) -> Option<f64> {
    let squares = |values: &[f64]| values.iter().map(|value| value * value).collect::<Vec<_>>();
    let (quotients, differences) = (squares(&matrix.diagonal), squares(&matrix.above));
    let largest = quotients.iter().chain(&differences).copied().fold(0.0, f64::max);
    // The root of what is added to or taken from a squared singular value is no more than what may be added to the value.
    let negligible = f64::EPSILON * f64::EPSILON * largest;
    let mut steps = MOST * (quotients.len() + 1);
    let mut pieces = vec![Piece::new(quotients, differences, 0.0)];
    let mut sum = 0.0;
    while let Some(mut piece) = pieces.pop() {
        while let Some(last) = piece.quotients.last() {
            let coupled = piece.differences.iter().rposition(|difference| *difference <= negligible);
            match coupled.map_or(0, |index| index + 1) {
                alone if alone + 1 == piece.quotients.len() => {
                    sum += (piece.shift + last).sqrt();
                    piece.shorten();
                }
                0 => {
                    steps = steps.checked_sub(1)?;
                    piece.step()?;
                }
                first => {
                    let (quotients, differences) =
                        (piece.quotients.split_off(first), piece.differences.split_off(first));
                    pieces.push(Piece::new(quotients, differences, piece.shift));
                    piece = Piece::new(piece.quotients, piece.differences, piece.shift);
                }
            }
        }
    }
    Some(sum)
}

/// Rows that have nothing to do with others. Their squared singular values are `shift` more than those of what is left in them.
struct Piece {
    /// Squares of the diagonal.
    quotients: Vec<f64>,
    /// Squares of the diagonal above it, one fewer.
    differences: Vec<f64>,
    shift: f64,
    /// What the last step found out about all rows, and about all but the last.
    found: [Option<Pivots>; 2],
}

/// Pivots of the last step: none is less than the smallest squared singular value.
#[derive(Clone, Copy)]
struct Pivots {
    smallest: f64,
    last: f64,
}

impl Piece {
    /// With the small values last, where they are found first.
    fn new(mut quotients: Vec<f64>, mut differences: Vec<f64>, shift: f64) -> Self {
        differences.truncate(quotients.len().saturating_sub(1));
        if quotients.first() < quotients.last() {
            quotients.reverse();
            differences.reverse();
        }
        Self { quotients, differences, shift, found: [None; 2] }
    }

    /// Without the last row.
    fn shorten(&mut self) {
        self.quotients.pop();
        self.differences.pop();
        self.found = [self.found[1], None];
    }

    /// One step; nothing where rounding leaves none.
    fn step(&mut self) -> Option<()> {
        let guess = self.next_shift();
        // Of a cluster, several at once are nearly zero, and rounding decides their signs: well below it, there is room.
        for shift in [guess, guess / 4.0, guess / 16.0, 0.0] {
            let (quotients, differences, found) = self.shifted(shift);
            if found.iter().all(|pivots| pivots.smallest >= 0.0) {
                (self.quotients, self.differences) = (quotients, differences);
                self.shift += shift;
                self.found = found.map(Some);
                return Some(());
            }
        }
        None
    }

    /// A guess at the smallest squared singular value, from below.
    fn next_shift(&self) -> f64 {
        let Some(Pivots { smallest, last }) = self.found[0] else { return 0.0 };
        let [.., before, end] = self.quotients[..] else { return 0.0 };
        let [.., difference] = self.differences[..] else { return 0.0 };
        if smallest < last {
            return smallest / 4.0;
        }
        // The last row as a value of its own, and how far the row before may draw it down.
        let coupling = (end * difference).sqrt();
        let further = match self.differences[..] {
            [.., further, _] => (before * further).sqrt(),
            _ => 0.0,
        };
        let gap = before + difference - last - coupling - further;
        if gap > coupling {
            (last - coupling * coupling / gap).max(last / 2.0)
        } else {
            (last - coupling).max(last / 3.0)
        }
    }

    /// The next quotients and differences, and what the pivots of all rows and of all but the last are.
    fn shifted(&self, shift: f64) -> (Vec<f64>, Vec<f64>, [Pivots; 2]) {
        let (mut quotients, mut differences) = (self.quotients.clone(), self.differences.clone());
        let first = quotients[0] - shift;
        let mut pivots = Pivots { smallest: first, last: first };
        let mut found = [pivots; 2];
        vectorised(
            #[inline(always)]
            || {
                let last = differences.len().saturating_sub(1);
                pivots.pass(shift, &mut quotients[..=last], &mut differences[..last]);
                found[1] = pivots;
                pivots.pass(shift, &mut quotients[last..], &mut differences[last..]);
                found[0] = pivots;
            },
        );
        (quotients, differences, found)
    }
}

impl Pivots {
    /// Goes through rows, and leaves the next quotients, differences, and as the last quotient the last pivot.
    #[inline(always)]
    fn pass(&mut self, shift: f64, quotients: &mut [f64], differences: &mut [f64]) {
        let Some((mut quotient, rest)) = quotients.split_first_mut() else { return };
        for (difference, next) in differences.iter_mut().zip(rest) {
            *quotient = self.last + *difference;
            let ratio = *next / *quotient;
            *difference *= ratio;
            self.last = self.last.mul_add(ratio, -shift);
            // Not `min`, which hides what is not a number.
            self.smallest = if self.last >= self.smallest { self.smallest } else { self.last };
            quotient = next;
        }
        *quotient = self.last;
    }
}
