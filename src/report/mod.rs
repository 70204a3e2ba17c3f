//! One self-contained HTML page about a run: players, spectrograms, curves, points, scores, commands. It asks nothing of the
//! network (its own security policy forbids that), follows the reader's light or dark theme, and fits a phone.
//!
//! A page is a [`Report`]: a heading, some facts, and [`Section`]s in any order. Every text is escaped.

mod chart;
mod clip;
mod embed;
mod html;
mod page;
mod scatter;
mod spectrogram;
mod table;

pub use chart::{Chart, Series};
pub use clip::{Clip, Mel};
pub use embed::{data_uri, wav};
pub use html::escape;
pub use page::{Body, Command, Fact, Report, Section, render};
pub use scatter::{Points, Scatter};
pub use spectrogram::spectrogram_png;
pub use table::{Score, Scores};
