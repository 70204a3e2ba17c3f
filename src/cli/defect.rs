//! A defect of ours is an error too: one line, no backtrace unless it is asked for, exit code 1.

use super::Failure;
use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;

static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Runs a command; should it panic, that is a failure. With `RUST_BACKTRACE` set, panics print as usual as well.
pub fn guarded<T>(command: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    if std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value == "0") {
        panic::set_hook(Box::new(|panic| {
            if let (Some(place), Ok(mut slot)) = (panic.location(), PLACE.lock()) {
                *slot = Some(format!(" at {}:{}", place.file(), place.line()));
            }
        }));
    }
    panic::catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|panic| Err(failure(panic.as_ref())))
}

fn failure(panic: &(dyn Any + Send)) -> Failure {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let message = message.unwrap_or("no reason given").replace('\n', " ");
    let place = PLACE.lock().ok().and_then(|mut slot| slot.take()).unwrap_or_default();
    Failure::job(format!("a defect of nocturne, not of your input: {message}{place}"))
        .remedy("please report it with the command; RUST_BACKTRACE=1 shows more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_line_of_cause_and_one_of_remedy() {
        let failure = failure(&"left: 1\nright: 2");
        assert!(failure.cause.ends_with("left: 1 right: 2"), "{}", failure.cause);
        assert!(failure.remedy.is_some());
    }
}
