//! New values, written where they will stay: memory is not set to zero first.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Fewer values than this are the work of one thread: waking another takes longer.
const WORTH_SHARING: usize = 1 << 14;

/// A piece of new values, written from its start to its end.
pub(super) struct Fresh<'a> {
    place: &'a mut [MaybeUninit<f32>],
    written: usize,
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
    let mut values = Vec::with_capacity(length);
    let fill = |(index, place)| {
        let mut piece = Fresh { place, written: 0 };
        let result = fill(index, &mut piece);
        assert_eq!(piece.written, piece.place.len(), "values written of piece {index}");
        result
    };
    let place = &mut values.spare_capacity_mut()[..length];
    let results = if length < WORTH_SHARING {
        place.chunks_mut(size.max(1)).enumerate().map(fill).collect()
    } else {
        place.par_chunks_mut(size.max(1)).enumerate().map(fill).collect()
    };
    // SAFETY: the pieces cover `length` values, and each was written to its end, as just checked.
    unsafe { values.set_len(length) };
    (values, results)
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
    #[should_panic(expected = "values written of piece 1")]
    fn a_piece_left_unwritten_is_an_error() {
        in_pieces(10, 5, |index, piece| {
            piece.append((0..5 - index).map(|_| 0.0));
        });
    }
}
