//! New values, written where they will stay: memory is not set to zero first.

use std::mem::{MaybeUninit, take};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

/// Fewer values than this are the work of one thread: waking another takes longer.
const WORTH_SHARING: usize = 1 << 14;

/// A piece of new values, written from its start to its end.
pub(super) struct Fresh<'a> {
    place: &'a mut [MaybeUninit<f32>],
    written: usize,
    /// What all pieces have written that are done.
    total: &'a AtomicUsize,
}

impl Fresh<'_> {
    /// Writes `values` behind what is written, and gives them back.
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    #[inline(always)]
    pub(super) fn append(&mut self, values: impl ExactSizeIterator<Item = f32>) -> &mut [f32] {
        let place = &mut self.place[self.written..][..values.len()];
        let mut count = 0;
        for (place, value) in place.iter_mut().zip(values) {
            place.write(value);
            count += 1;
        }
        self.written += count;
        // SAFETY: the loop wrote the first `count` values of `place`.
        unsafe { place[..count].assume_init_mut() }
    }

    /// All that is written so far.
    #[inline(always)]
    pub(super) fn written(&mut self) -> &mut [f32] {
        // SAFETY: only `append` moves `written`, over values that it wrote.
        unsafe { self.place[..self.written].assume_init_mut() }
    }

    /// How many values are still to be written.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        self.place.len() - self.written
    }

    /// Takes the next `length` values away, as a piece of their own.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub(super) fn split_off(&mut self, length: usize) -> Self {
        assert!(length <= self.room(), "{length} values of {}", self.room());
        let (before, rest) = take(&mut self.place).split_at_mut(self.written);
        let (piece, rest) = rest.split_at_mut(length);
        self.count(before.len());
        (self.place, self.written) = (rest, 0);
        Fresh { place: piece, written: 0, total: self.total }
    }

    fn count(&self, written: usize) {
        self.total.fetch_add(written, Ordering::Relaxed);
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        self.count(self.written);
    }
}

/// Makes `length` values. `fill` splits them as it likes, and writes every piece.
///
/// # Panics
///
/// If `fill` leaves a value unwritten.
pub(super) fn fresh<R>(length: usize, fill: impl FnOnce(Fresh) -> R) -> (Vec<f32>, R) {
    let mut values = Vec::with_capacity(length);
    let total = AtomicUsize::new(0);
    let place = &mut values.spare_capacity_mut()[..length];
    let result = fill(Fresh { place, written: 0, total: &total });
    assert_eq!(total.into_inner(), length, "values written");
    // SAFETY: a piece counts the values that it wrote once, no two pieces share one, and together they are `length`.
    unsafe { values.set_len(length) };
    (values, result)
}

/// Makes `length` values in pieces of `size`, the last of which may be shorter, on all threads. `fill` writes the piece of
/// that index; what it returns comes back in the order of the pieces.
///
/// # Panics
///
/// If `fill` leaves a part of its piece unwritten.
pub(super) fn in_pieces<R: Send>(
    length: usize,
    size: usize,
    fill: impl Fn(usize, &mut Fresh) -> R + Sync,
) -> (Vec<f32>, Vec<R>) {
    let fill = |(index, mut piece): (usize, Fresh)| {
        let result = fill(index, &mut piece);
        assert_eq!(piece.room(), 0, "values left unwritten of piece {index}");
        result
    };
    fresh(length, |mut all| {
        let size = size.max(1);
        let pieces: Vec<_> = (0..length).step_by(size).map(|start| all.split_off(size.min(length - start))).collect();
        if length < WORTH_SHARING {
            pieces.into_iter().enumerate().map(fill).collect()
        } else {
            pieces.into_par_iter().enumerate().map(fill).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_in_order() {
        for (length, size) in [(0, 3), (1, 3), (7, 3), (9, 3), (5, 100), (3 * WORTH_SHARING + 1, 1000)] {
            let (values, sizes) = in_pieces(length, size, |index, piece| {
                let count = size.min(length - index * size);
                // In two steps, the first changed afterwards.
                piece.append((0..count / 2).map(|_| 0.0));
                piece.append((count / 2..count).map(|i| (index * size + i) as f32));
                for (i, value) in piece.written()[..count / 2].iter_mut().enumerate() {
                    *value += (index * size + i) as f32;
                }
                count
            });
            assert!(values.iter().enumerate().all(|(i, value)| *value == i as f32));
            assert_eq!((values.len(), sizes.iter().sum::<usize>()), (length, length));
        }
    }

    #[test]
    fn pieces_are_split_as_one_likes() {
        let (values, ()) = fresh(10, |mut all| {
            all.append([0.0].into_iter());
            let mut middle = all.split_off(4);
            let mut none = all.split_off(0);
            assert_eq!((middle.room(), none.room(), all.room()), (4, 0, 5));
            all.append((5..10).map(|i| i as f32));
            middle.append((1..5).map(|i| i as f32));
            none.append([].into_iter());
        });
        assert!(values.iter().enumerate().all(|(i, value)| *value == i as f32));
    }

    #[test]
    #[should_panic(expected = "values written")]
    fn a_piece_forgotten_is_an_error() {
        fresh(10, |mut all| {
            let first = all.split_off(5);
            all.append([1.0; 5].into_iter());
            std::mem::forget(first);
        });
    }

    #[test]
    #[should_panic(expected = "values left unwritten of piece 1")]
    fn a_piece_left_unwritten_is_an_error() {
        in_pieces(10, 5, |index, piece| {
            piece.append((0..5 - index).map(|_| 0.0));
        });
    }
}
