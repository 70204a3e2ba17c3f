//! A clip: a player under its spectrogram.

use super::embed::{data_uri, wav};
use super::html::escape;
use super::spectrogram::{mel_position, spectrogram_png};

/// Frequencies marked beside a spectrogram.
const MARKS: [(f64, &str); 5] = [(500.0, "500"), (1000.0, "1k"), (2000.0, "2k"), (5000.0, "5k"), (10_000.0, "10k")];

/// A mel picture: `values` in `[0, 1]`, row-major `[height, width]`, row 0 the lowest band.
#[derive(Clone, Debug)]
pub struct Mel {
    /// `height * width` numbers.
    pub values: Vec<f32>,
    /// Bands.
    pub height: usize,
    /// Frames.
    pub width: usize,
}

/// One piece of audio, mono, with its mel.
#[derive(Clone, Debug)]
pub struct Clip {
    /// The heading of its card.
    pub title: String,
    /// A line under the title; may be empty.
    pub note: String,
    /// In `[-1, 1]`.
    pub samples: Vec<f32>,
    /// In Hz; the spectrogram is taken to reach up to half of it.
    pub sample_rate: u32,
    /// What the card shows.
    pub mel: Mel,
}

/// A grid of cards.
pub fn clips(clips: &[Clip]) -> String {
    let cards: String = clips.iter().map(card).collect();
    format!("<ul class=\"clips\">{cards}</ul>")
}

fn card(clip: &Clip) -> String {
    let seconds = clip.samples.len() as f64 / f64::from(clip.sample_rate.max(1));
    let title = escape(&clip.title);
    let note = if clip.note.is_empty() { String::new() } else { format!("<p>{}</p>", escape(&clip.note)) };
    let picture = data_uri("image/png", &spectrogram_png(&clip.mel.values, clip.mel.height, clip.mel.width));
    let sound = data_uri("audio/wav", &wav(&clip.samples, clip.sample_rate));
    let top = f64::from(clip.sample_rate) / 2.0;
    let hertz: String = MARKS.iter().filter(|mark| mark.0 < 0.8 * top).map(|mark| frequency_mark(mark, top)).collect();
    format!(
        "<li class=\"clip\"><h3>{title}</h3>{note}\
         <div class=\"plot\"><div class=\"hertz\" aria-hidden=\"true\">{hertz}<b>Hz</b></div>\
         <div class=\"picture\"><img src=\"{picture}\" alt=\"Mel spectrogram of {title}: {seconds:.1} seconds from left to \
         right, 0 to {top:.0} hertz from bottom to top, brighter is louder\"><i class=\"playhead\"></i></div>\
         <div class=\"time\" aria-hidden=\"true\"><span>0</span><span>{:.1}</span><span>{seconds:.1} s</span></div></div>\
         <audio controls preload=\"metadata\" src=\"{sound}\" aria-label=\"Play {title}\"></audio></li>",
        seconds / 2.0
    )
}

fn frequency_mark((hertz, label): &(f64, &str), top: f64) -> String {
    format!("<span style=\"bottom:{:.1}%\">{label}</span>", 100.0 * mel_position(*hertz, top))
}
