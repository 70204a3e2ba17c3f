//! The codec beside the language model: frames are decoded in a thread of their own while others are still being made.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nocturne_models::musicgen::GenerationError;

use super::model::Samples;
use super::windows::{Batch, in_windows};

/// Frames that are decoded together: the first samples are there after so many. The codec does three frames twice each time.
const PIECE: usize = 8;

/// What was made of a batch.
pub(super) struct Made {
    /// `[item][codebook][frame]`
    pub codes: Vec<Vec<Vec<usize>>>,
    /// Time in the language model.
    pub tokens: Duration,
    /// Time in the codec, nearly all of it at the same time.
    pub decoding: Duration,
}

/// Makes a batch. `on_frame` is told of each new frame, and may end it there; `on_samples`, in the codec's thread, is given what is to
/// be heard, piece after piece. Pieces are cut alike whatever becomes of them, so that a seed gives the same samples.
pub(super) fn make<E: From<GenerationError> + Send>(
    batch: &Batch,
    mut on_frame: impl FnMut(usize) -> ControlFlow<()>,
    on_samples: impl FnMut(Samples) -> Result<(), E> + Send,
) -> Result<Made, E> {
    let (sender, frames) = mpsc::channel();
    thread::scope(|scope| {
        let codec = scope.spawn(move || decode(batch, &frames, on_samples));
        let started = Instant::now();
        let codes = in_windows(batch, |index, frame| {
            // Nobody takes frames any more whose samples cannot be written.
            if sender.send(frame).is_err() { ControlFlow::Break(()) } else { on_frame(index) }
        });
        let tokens = started.elapsed();
        drop(sender);
        let decoding = codec.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        Ok(Made { codes: codes?, tokens, decoding })
    })
}

/// Decodes the beginning and the frames behind it until there are no more; gives the time that it took.
fn decode<E>(
    batch: &Batch,
    frames: &Receiver<Vec<usize>>,
    mut on_samples: impl FnMut(Samples) -> Result<(), E>,
) -> Result<Duration, E> {
    let (model, items) = (batch.job.model, batch.seeds.len());
    let known = batch.beginning.first().map_or(0, Vec::len);
    let of_beginning = |frame: usize| {
        let of_item: Vec<usize> = batch.beginning.iter().map(|codes| codes[frame]).collect();
        of_item.repeat(items)
    };
    let mut frames = (0..known).map(of_beginning).chain(frames);
    let (mut decoding, mut elapsed) = (model.network.decoding(), Duration::ZERO);
    loop {
        let piece: Vec<Vec<usize>> = frames.by_ref().take(PIECE).collect();
        if piece.is_empty() {
            break;
        }
        let started = Instant::now();
        let samples = decoding.push(model.codes(&piece, items)).map(Samples::of);
        elapsed += started.elapsed();
        samples.map_or(Ok(()), &mut on_samples)?;
    }
    let started = Instant::now();
    let rest = decoding.finish().map(Samples::of);
    elapsed += started.elapsed();
    rest.map_or(Ok(()), &mut on_samples)?;
    Ok(elapsed)
}
