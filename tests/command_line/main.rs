//! The program as its users run it: one module a command. One test binary, so that the library is linked once.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod arguments;
mod embedders;
mod encode;
mod evaluate;
mod generate;
#[path = "../interpreter/mod.rs"]
mod interpreter;
mod musicgen;
mod musicgen_melody;
mod prepare;
mod python;
mod scores;
mod support;
mod train;
mod train_vae;
mod train_vocoder;
mod vocode;
