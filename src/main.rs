//! The `nocturne` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    nocturne::cli::run(std::env::args_os()).into()
}
