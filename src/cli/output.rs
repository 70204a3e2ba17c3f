//! What a command says: results on standard output, progress and logs on standard error.

use super::{Failure, Global};
use crate::progress::{Progress, above_bars};
use serde_json::Value;
use std::fmt;
use std::io::Write;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Where results and failures go.
#[derive(Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    aside: bool,
}

impl Output {
    /// Also starts the log: warnings and progress lines, unless `--quiet`.
    pub fn new(global: &Global) -> Self {
        let level = if global.quiet { Level::ERROR } else { Level::INFO };
        // A second call (in tests) finds the log already started, which is as good.
        let _ = tracing_subscriber::fmt()
            .with_writer(|| AboveBars)
            .with_max_level(level)
            .with_ansi(false)
            .event_format(Lines)
            .try_init();
        Self { json: global.json, quiet: global.quiet, aside: false }
    }

    /// With results on standard error, where standard output has something else.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self { aside: true, ..*self }
    }

    /// One result: an object in `--json`, a sentence for people otherwise.
    pub fn result(&self, object: &Value, sentence: &str) {
        let line = if self.json { object.to_string() } else { sentence.to_owned() };
        if self.json || !self.quiet {
            // A reader that went away is no failure of ours.
            let _ = if self.aside {
                above_bars(|| writeln!(std::io::stderr().lock(), "{line}"))
            } else {
                writeln!(std::io::stdout().lock(), "{line}")
            };
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

/// `1 clip`, `2 clips`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `warning: …` as `error: …` and `hint: …`; everything else without a mark.
struct Lines;

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N> for Lines {
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match *event.metadata().level() {
            Level::ERROR => write!(out, "error: ")?,
            Level::WARN => write!(out, "warning: ")?,
            _ => {}
        }
        context.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

/// Standard error, without writing into a progress bar.
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        above_bars(|| std::io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().lock().flush()
    }
}
