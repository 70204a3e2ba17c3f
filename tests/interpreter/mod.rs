//! The interpreter for tests that have Python's own tools read what we write.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// `NOCTURNE_PYTHON`, or else `python3`, where it can import `modules`. Where it cannot, says so past the test harness,
/// which keeps to itself what passing tests print.
pub fn python(modules: &str) -> Option<PathBuf> {
    let python = std::env::var_os("NOCTURNE_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let found = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let message = format!("\n*** SKIPPED: {} cannot import {modules}; set NOCTURNE_PYTHON ***\n", python.display());
    std::io::stderr().write_all(message.as_bytes()).unwrap();
    None
}
