use std::cell::Cell;

use super::tiles::{Group, ZERO};

/// What a thread keeps at most: 16 MiB.
const KEPT: usize = (16 << 20) / size_of::<Group>();

thread_local! {
    /// Memory fresh from the system costs more than what is computed in it.
    static SCRATCH: Cell<Vec<Group>> = const { Cell::new(Vec::new()) };
}

/// Runs `work` on `length` groups of whatever was there before.
pub(super) fn with_scratch<R>(length: usize, work: impl FnOnce(&mut [Group]) -> R) -> R {
    // Taken out, so that work within work finds none and makes its own.
    let mut scratch = SCRATCH.take();
    if scratch.len() < length {
        scratch = vec![ZERO; length];
    }
    let result = work(&mut scratch[..length]);
    if scratch.len() <= KEPT {
        SCRATCH.set(scratch);
    }
    result
}
