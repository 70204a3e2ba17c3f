//! Progress of a long job: a bar with rate and time left on a terminal, plain lines in a log.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// All bars of the process, so that a line of the log can step around them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Runs `write`, which writes to the terminal, with the bars out of its way.
pub fn above_bars<T>(write: impl FnOnce() -> T) -> T {
    BARS.suspend(write)
}

/// Tells a person how far a job is. Cheap to call from any thread.
#[derive(Debug)]
pub struct Progress {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Silent,
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
}

#[derive(Debug)]
struct Lines {
    what: String,
    total: u64,
    started: Instant,
    spoke: Instant,
}

impl Progress {
    /// Says nothing.
    pub fn silent() -> Self {
        Self { kind: Kind::Silent }
    }

    /// A bar where standard error is a terminal, a line every ten seconds elsewhere.
    pub fn visible() -> Self {
        if std::io::stderr().is_terminal() {
            return Self { kind: Kind::Bar(ProgressBar::hidden()) };
        }
        let now = Instant::now();
        Self { kind: Kind::Lines(Mutex::new(Lines { what: String::new(), total: 0, started: now, spoke: now })) }
    }

    /// Begins a stage of `total` steps, called `what` (`"files"`, `"steps"`).
    pub fn start(&mut self, what: &str, total: u64) {
        match &mut self.kind {
            Kind::Silent => {}
            Kind::Bar(bar) => {
                bar.finish_and_clear();
                *bar = BARS.add(ProgressBar::new(total).with_style(style(what)));
                bar.enable_steady_tick(Duration::from_millis(200));
            }
            Kind::Lines(lines) => {
                let now = Instant::now();
                *lines = Mutex::new(Lines { what: what.to_owned(), total, started: now, spoke: now });
            }
        }
    }

    /// `done` steps are behind; `note` is shown beside (a loss, a file name).
    pub fn at(&self, done: u64, note: &str) {
        match &self.kind {
            Kind::Silent => {}
            Kind::Bar(bar) => {
                bar.set_position(done);
                bar.set_message(note.to_owned());
            }
            Kind::Lines(lines) => {
                let Ok(mut lines) = lines.lock() else { return };
                if lines.spoke.elapsed() >= LINE_EVERY && done > 0 {
                    lines.spoke = Instant::now();
                    tracing::info!("{}", lines.line(done, note));
                }
            }
        }
    }

    /// Ends the stage.
    pub fn finish(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    fn line(&self, done: u64, note: &str) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = done as f64 / seconds.max(1e-9);
        let left = self.total.saturating_sub(done) as f64 / rate.max(1e-9);
        let note = if note.is_empty() { String::new() } else { format!(", {note}") };
        format!("{done}/{} {}, {rate:.2} a second, {} left{note}", self.total, self.what, clock(left))
    }
}

fn style(what: &str) -> ProgressStyle {
    let template = format!("{what:>10} {{bar:32}} {{pos}}/{{len}}  {{per_sec}}  {{eta}} left  {{msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Seconds as `m:ss` or `h:mm:ss`.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.clamp(0.0, 1e9).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reads_as_people_write_it() {
        assert_eq!(clock(5.4), "0:05");
        assert_eq!(clock(3_725.0), "1:02:05");
        assert_eq!(clock(f64::INFINITY), "277777:46:40");
    }

    #[test]
    fn a_line_tells_rate_and_time_left() {
        let started = Instant::now().checked_sub(Duration::from_secs(10)).unwrap_or_else(Instant::now);
        let lines = Lines { what: "files".into(), total: 40, started, spoke: started };
        let text = lines.line(10, "");
        assert_eq!(text, "10/40 files, 1.00 a second, 0:30 left");
        assert!(lines.line(10, "loss 0.5").ends_with("left, loss 0.5"));
    }
}
