//! Music that is decoded while it is made, between the steps of the language model: a thread of its own beside them was measured to slow
//! them down by more than it takes off, as both wait for the same memory.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use nocturne_models::musicgen::{Decoding, GenerationError};

use super::model::Samples;
use super::windows::{Batch, in_windows};

/// Frames that are decoded together, first: the first samples are there after so many.
const FIRST: usize = 8;

/// And later, each time twice as many up to this: the codec reads all its weights for each piece, and does three frames twice.
const LATER: usize = 32;

/// Pieces that are made ahead of a reader who takes his time.
const AHEAD: usize = 64;

/// What was made of a batch.
pub(super) struct Made {
    /// `[item][codebook][frame]`
    pub codes: Vec<Vec<Vec<usize>>>,
    /// Time in the language model.
    pub tokens: Duration,
    /// Time in the codec.
    pub decoding: Duration,
}

/// Makes a batch. `on_frame` is told of each new frame, and may end it there; `on_samples`, in a thread of its own, is given what is to
/// be heard, piece after piece. Pieces are cut alike whatever becomes of them, so that a seed gives the same samples.
pub(super) fn make<E: From<GenerationError> + Send>(
    batch: &Batch,
    mut on_frame: impl FnMut(usize) -> ControlFlow<()>,
    on_samples: impl FnMut(Samples) -> Result<(), E> + Send,
) -> Result<Made, E> {
    let (sender, pieces) = sync_channel(AHEAD);
    thread::scope(|scope| {
        let reader = scope.spawn(move || pieces.into_iter().try_for_each(on_samples));
        // Nobody takes samples any more that cannot be written.
        let hand_on = |samples: Option<Samples>| samples.is_none_or(|samples| sender.send(samples).is_ok());
        let started = Instant::now();
        let mut codec = Codec::new(batch);
        let known = batch.beginning.first().map_or(0, Vec::len);
        let mut is_heard = (0..known).all(|frame| hand_on(codec.take_beginning(frame)));
        let codes = in_windows(batch, |index, frame| {
            is_heard = is_heard && hand_on(codec.take(frame));
            if is_heard { on_frame(index) } else { ControlFlow::Break(()) }
        });
        let (rest, decoding) = codec.finish();
        let tokens = started.elapsed().saturating_sub(decoding);
        for samples in rest {
            hand_on(Some(samples));
        }
        drop(sender);
        reader.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        Ok(Made { codes: codes?, tokens, decoding })
    })
}

/// Decodes frames in pieces, and measures the time.
struct Codec<'a> {
    batch: &'a Batch<'a>,
    decoding: Decoding<'a>,
    /// Less than a piece.
    waiting: Vec<Vec<usize>>,
    /// Frames of the next piece.
    piece: usize,
    elapsed: Duration,
}

impl<'a> Codec<'a> {
    fn new(batch: &'a Batch<'a>) -> Self {
        let decoding = batch.job.model.network.decoding();
        Self { batch, decoding, waiting: Vec::new(), piece: FIRST, elapsed: Duration::ZERO }
    }

    /// A frame of what all items begin with.
    fn take_beginning(&mut self, frame: usize) -> Option<Samples> {
        let of_item: Vec<usize> = self.batch.beginning.iter().map(|codes| codes[frame]).collect();
        self.take(of_item.repeat(self.batch.seeds.len()))
    }

    /// A frame `[item · codebook]`; gives the samples of a piece that it ends.
    fn take(&mut self, frame: Vec<usize>) -> Option<Samples> {
        self.waiting.push(frame);
        if self.waiting.len() < self.piece {
            return None;
        }
        self.piece = (2 * self.piece).min(LATER);
        self.decode()
    }

    fn decode(&mut self) -> Option<Samples> {
        let started = Instant::now();
        let codes = self.batch.job.model.codes(&self.waiting, self.batch.seeds.len());
        self.waiting.clear();
        let samples = self.decoding.push(codes).map(Samples::of);
        self.elapsed += started.elapsed();
        samples
    }

    /// The samples that are left, and the time that all took.
    fn finish(mut self) -> (Vec<Samples>, Duration) {
        let mut rest = Vec::new();
        if !self.waiting.is_empty() {
            rest.extend(self.decode());
        }
        let started = Instant::now();
        rest.extend(self.decoding.finish().map(Samples::of));
        (rest, self.elapsed + started.elapsed())
    }
}
