//! What a command says: results on standard output, progress and logs on standard error.

use super::{Failure, Global};
use crate::progress::Progress;
use serde_json::Value;
use std::io::Write;

/// Where results and failures go.
#[derive(Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Also starts the log: warnings always, progress lines unless `--quiet`.
    pub fn new(global: &Global) -> Self {
        let level = if global.quiet { tracing::Level::ERROR } else { tracing::Level::INFO };
        // A second call (in tests) finds the log already started, which is as good.
        let _ = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(level)
            .without_time()
            .with_target(false)
            .compact()
            .try_init();
        Self { json: global.json, quiet: global.quiet }
    }

    /// One result: an object in `--json`, a sentence for people otherwise.
    pub fn result(&self, object: &Value, sentence: &str) {
        let line = if self.json { object.to_string() } else { sentence.to_owned() };
        if self.json || !self.quiet {
            // A reader that went away is no failure of ours.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }

    /// The one line of cause and the one of remedy.
    pub fn failure(&self, failure: &Failure) {
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(stderr, "error: {}", failure.cause);
        if let Some(remedy) = &failure.remedy {
            let _ = writeln!(stderr, "hint: {remedy}");
        }
    }

    /// A progress bar, or plain lines where nobody watches a terminal.
    pub fn progress(&self) -> Progress {
        if self.quiet { Progress::silent() } else { Progress::visible() }
    }
}
