//! The order of the data, and the random numbers that go with it.
//!
//! Everything is a function of the seed and of the number of items drawn so far, so that this number is all that a
//! resumed run needs. Epochs run into each other: every batch is full, whatever the size of the dataset.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use nocturne_models::diffusion::TimestepDistribution;
use nocturne_models::random::Random;

use super::conditions::Conditions;
use super::error::TrainError;
use crate::encodings::Encoding;

/// Batches made ahead of the training step.
const AHEAD: usize = 2;

/// The mels to train on.
pub trait Examples: Send + Sync + 'static {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// `[channel, mel, frame]`, the same for all.
    fn shape(&self) -> [usize; 3];
    /// The recording that an example was cut from.
    fn source(&self, index: usize) -> &str;
    /// Reads one example into `out`, in the model's scale (−1 to 1). What is drawn anew each time is drawn from `draws`.
    fn read(&self, index: usize, draws: &mut Random, out: &mut [f32]) -> Result<(), TrainError>;
    /// The width of what the examples are conditioned on; none if they are not.
    fn condition_width(&self) -> Option<usize> {
        None
    }
    /// What an example is conditioned on, where they are.
    fn condition(&self, _index: usize) -> Option<&Encoding> {
        None
    }
}

/// A batch, still on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[batch, channel, mel, frame]`.
    pub shape: [usize; 4],
    /// The mels.
    pub samples: Vec<f32>,
    /// N(0, 1), as many.
    pub noise: Vec<f32>,
    /// One an item.
    pub timesteps: Vec<f32>,
    /// What the items are conditioned on, where they are.
    pub conditions: Option<Conditions>,
    /// The recording of every item.
    pub files: Vec<String>,
}

/// Reads `indices` and draws the noise and timestep of each from the streams of its draw: `draws` counts the items of
/// the run.
pub fn read_batch(
    examples: &dyn Examples,
    indices: &[usize],
    draws: Range<u64>,
    drawing: &Drawing,
) -> Result<Batch, TrainError> {
    let &Drawing { seed, timesteps, condition_dropout } = drawing;
    let [channels, mels, frames] = examples.shape();
    let size = channels * mels * frames;
    let mut batch = Batch {
        shape: [indices.len(), channels, mels, frames],
        samples: vec![0.0; size * indices.len()],
        noise: vec![0.0; size * indices.len()],
        timesteps: Vec::with_capacity(indices.len()),
        conditions: None,
        files: Vec::with_capacity(indices.len()),
    };
    let items = batch.samples.chunks_exact_mut(size).zip(batch.noise.chunks_exact_mut(size));
    let mut conditions = Vec::with_capacity(indices.len());
    for (((sample, noise), index), draw) in items.zip(indices).zip(draws) {
        examples.read(*index, &mut Random::new(seed, "example", draw), sample)?;
        let dropped = Random::new(seed, "condition dropout", draw).uniform() < condition_dropout;
        conditions.push(examples.condition(*index).filter(|_| !dropped));
        Random::new(seed, "noise", draw).fill_normal(noise);
        batch.timesteps.push(timesteps.draw(&mut Random::new(seed, "timestep", draw)));
        batch.files.push(examples.source(*index).to_string());
    }
    batch.conditions = examples.condition_width().map(|width| Conditions::new(&conditions, width));
    Ok(batch)
}

/// What is drawn for each item of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Drawing {
    /// Names the streams.
    pub seed: u64,
    /// What timesteps are drawn from.
    pub timesteps: TimestepDistribution,
    /// The share of items that lose their condition.
    pub condition_dropout: f64,
}

/// What decides the order of the data and the random numbers.
#[derive(Clone)]
pub struct Order {
    /// The examples that take part.
    pub indices: Arc<[usize]>,
    /// Items a batch.
    pub batch_size: usize,
    /// What is drawn for each item.
    pub drawing: Drawing,
}

/// Which examples come when.
#[derive(Clone)]
pub struct Sequence {
    /// The examples that take part.
    pub indices: Arc<[usize]>,
    /// Items a batch.
    pub batch_size: usize,
    /// Names the streams.
    pub seed: u64,
}

/// The batches from draw `position` on, prepared by a thread of their own.
pub struct Batches<B = Batch> {
    receiver: Option<Receiver<Result<B, TrainError>>>,
    worker: Option<JoinHandle<()>>,
}

impl Batches {
    /// Those of [`read_batch`].
    pub fn start(examples: Arc<dyn Examples>, order: Order, position: u64) -> Self {
        let Order { indices, batch_size, drawing } = order;
        let sequence = Sequence { indices, batch_size, seed: drawing.seed };
        Self::made_by(sequence, position, move |indices, draws| read_batch(&*examples, indices, draws, &drawing))
    }
}

impl<B: Send + 'static> Batches<B> {
    /// Starts the thread, which has `make` make a batch of every so many examples and the range of their draws. It ends when
    /// this value is dropped, or after an error.
    pub fn made_by(
        sequence: Sequence,
        position: u64,
        make: impl Fn(&[usize], Range<u64>) -> Result<B, TrainError> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = sync_channel(AHEAD);
        let worker = std::thread::spawn(move || {
            let mut draws = Draws::new(&sequence, position);
            loop {
                let indices = draws.take(sequence.batch_size);
                let range = draws.position - indices.len() as u64..draws.position;
                let batch = make(&indices, range);
                let failed = batch.is_err();
                if sender.send(batch).is_err() || failed {
                    return;
                }
            }
        });
        Self { receiver: Some(receiver), worker: Some(worker) }
    }

    /// The next batch.
    pub fn receive(&mut self) -> Result<B, TrainError> {
        let received = self.receiver.as_ref().and_then(|receiver| receiver.recv().ok());
        received.unwrap_or(Err(TrainError::BatchesEnded))
    }
}

impl<B> Drop for Batches<B> {
    fn drop(&mut self) {
        // Closing the channel is what ends the thread.
        self.receiver = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// The endless sequence of examples: epoch after epoch, each in an order of its own.
struct Draws<'a> {
    order: &'a Sequence,
    position: u64,
    epoch: Option<(u64, Vec<usize>)>,
}

impl<'a> Draws<'a> {
    fn new(order: &'a Sequence, position: u64) -> Self {
        Self { order, position, epoch: None }
    }

    fn take(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> usize {
        let examples = self.order.indices.len() as u64;
        let number = self.position / examples;
        let shuffled = match self.epoch.take() {
            Some((current, shuffled)) if current == number => shuffled,
            _ => {
                let mut shuffled = self.order.indices.to_vec();
                Random::new(self.order.seed, "shuffle", number).shuffle(&mut shuffled);
                shuffled
            }
        };
        let drawn = shuffled[(self.position % examples) as usize];
        self.epoch = Some((number, shuffled));
        self.position += 1;
        drawn
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nocturne_models::diffusion::{SchedulerConfig, TimestepSampling};

    struct Numbers(usize);

    impl Examples for Numbers {
        fn len(&self) -> usize {
            self.0
        }

        fn shape(&self) -> [usize; 3] {
            [1, 2, 2]
        }

        fn source(&self, _index: usize) -> &'static str {
            "a.wav"
        }

        fn read(&self, index: usize, _: &mut Random, out: &mut [f32]) -> Result<(), TrainError> {
            out.fill(index as f32);
            Ok(())
        }
    }

    fn order(batch_size: usize) -> Order {
        let timesteps = TimestepDistribution::new(TimestepSampling::Uniform, &SchedulerConfig::default()).unwrap();
        Order { indices: (0..5).collect(), batch_size, drawing: Drawing { seed: 3, timesteps, condition_dropout: 0.5 } }
    }

    fn batches(batch_size: usize, position: u64, count: usize) -> Vec<Batch> {
        let mut batches = Batches::start(Arc::new(Numbers(5)), order(batch_size), position);
        (0..count).map(|_| batches.receive().unwrap()).collect()
    }

    #[test]
    fn every_epoch_holds_every_example_in_another_order() {
        let drawn: Vec<usize> =
            batches(3, 0, 10).iter().flat_map(|b| [0, 4, 8].map(|i| b.samples[i] as usize)).collect();
        let mut epochs: Vec<Vec<usize>> = drawn.chunks(5).map(<[usize]>::to_vec).collect();
        assert!(epochs.iter().any(|epoch| *epoch != epochs[0]));
        for epoch in &mut epochs {
            epoch.sort_unstable();
            assert_eq!(*epoch, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn starts_again_anywhere() {
        let whole = batches(3, 0, 8);
        for start in 0..8 {
            assert_eq!(batches(3, 3 * start as u64, 8 - start), whole[start..]);
        }
    }

    #[test]
    fn an_item_is_the_same_in_any_batch_size() {
        let (small, large) = (batches(2, 0, 6), batches(4, 0, 3));
        let join = |batches: &[Batch]| -> (Vec<f32>, Vec<f32>) {
            let noise = batches.iter().flat_map(|batch| batch.noise.clone()).collect();
            (noise, batches.iter().flat_map(|batch| batch.timesteps.clone()).collect())
        };
        assert_eq!(join(&small), join(&large));
    }
}
