//! Ctrl-C and SIGTERM: the first asks a job to save and stop, the second ends it at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The flag that jobs look at between two steps. The handler is installed with the first call.
pub fn stop_flag() -> Arc<AtomicBool> {
    Arc::clone(STOP.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&flag);
        let installed = ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            tracing::warn!("stopping: what is done is being saved (once more to stop at once)");
        });
        if let Err(error) = installed {
            tracing::warn!("Ctrl-C cannot be caught: {error}");
        }
        flag
    }))
}
