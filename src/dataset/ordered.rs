use std::collections::BTreeMap;
use std::sync::mpsc;

use rayon::ThreadPool;

/// Runs `work(0)`, `work(1)`, … `work(count - 1)` in parallel and gives the results to `take` in that order. At most
/// `window` results are under way or waiting, so that memory does not depend on `count`.
///
/// Stops at the first error of `take`, after what is under way has ended. `work` must not panic.
pub fn ordered<T: Send, E>(
    pool: &ThreadPool,
    count: usize,
    window: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let work = &work;
    pool.in_place_scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let mut waiting = BTreeMap::new();
        let mut begun = 0;
        for next in 0..count {
            while begun < count.min(next + window.max(1)) {
                let (sender, index) = (sender.clone(), begun);
                // Nobody listens any more after an error of `take`.
                scope.spawn(move |_| drop(sender.send((index, work(index)))));
                begun += 1;
            }
            let result = loop {
                if let Some(result) = waiting.remove(&next) {
                    break result;
                }
                let Ok((index, result)) = receiver.recv() else { unreachable!("this function holds a sender") };
                waiting.insert(index, result);
            };
            take(next, result)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn in_order_and_never_more_than_the_window() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let (alive, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut taken = Vec::new();
        let work = |index: usize| {
            most.fetch_max(alive.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(if index.is_multiple_of(7) { 3000 } else { 100 }));
            index * 2
        };
        let result: Result<(), ()> = ordered(&pool, 100, 5, work, |index, value| {
            alive.fetch_sub(1, Ordering::SeqCst);
            taken.push((index, value));
            Ok(())
        });
        result.unwrap();
        assert_eq!(taken, (0..100).map(|index| (index, index * 2)).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= 5);
    }

    #[test]
    fn an_error_ends_it() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let begun = AtomicUsize::new(0);
        let work = |index: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            index
        };
        let result = ordered(&pool, 1000, 3, work, |index, _| if index == 4 { Err("stop") } else { Ok(()) });
        assert_eq!(result, Err("stop"));
        assert!(begun.load(Ordering::SeqCst) <= 7);
    }
}
