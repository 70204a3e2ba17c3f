//! A small synthesiser of soft ambient music, for material that needs no download.
//!
//! Chords wander slowly through a mode (`harmony`); detuned pads, a sub bass and sparse piano or bell notes play them
//! (`voice`), over a breath of filtered noise (`air`), into a feedback delay network (`reverb`). Everything is
//! sums and products of `f64` and functions of `libm`, so that a track has the same samples on every platform.

mod air;
mod envelope;
mod harmony;
mod level;
mod oscillator;
mod reverb;
mod track;
mod voice;

pub use track::track;
