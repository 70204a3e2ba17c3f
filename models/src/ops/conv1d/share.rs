use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

/// Does `tasks` on all threads, each of which takes the next one when it is free and keeps its scratch.
pub(super) fn share<T: Send, S>(tasks: Vec<T>, scratch: impl Fn() -> S + Sync, work: impl Fn(&mut S, T) + Sync) {
    let threads = rayon::current_num_threads().min(tasks.len());
    let queue = Mutex::new(tasks.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
        let Some(first) = next() else { return };
        let mut scratch = scratch();
        work(&mut scratch, first);
        while let Some(task) = next() {
            work(&mut scratch, task);
        }
    });
}
