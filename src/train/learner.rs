//! One optimiser step after another: forward, loss, backward, accumulate, clip, `AdamW`, average.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::checkpoint::{self, Checkpoint};
use nocturne_models::diffusion::{Denoiser, Network, NoiseSchedule, PredictionType, SchedulerConfig};
use nocturne_models::parameters;

use super::batches::Batch;
use super::config::TrainSettings;
use super::ema;
use super::error::TrainError;
use super::gradients::{Accumulator, Named, clip_by_global_norm};
use super::learning_rate::LearningRate;
use super::meter::Pending;
use super::optimizer::{AdamW, Moments};
use super::precision::Trained;

const WEIGHTS: &str = "weights.safetensors";
const AVERAGE: &str = "ema.safetensors";
/// The optimiser's state, in the shape of the network and named as in torch's.
const FIRST_MOMENTS: &str = "exp_avg.safetensors";
const SECOND_MOMENTS: &str = "exp_avg_sq.safetensors";

/// A network under training, with its optimiser and its average.
pub struct Learner<N> {
    network: N,
    average: Option<N>,
    optimizer: AdamW,
    learning_rate: LearningRate,
    schedule: NoiseSchedule,
    prediction_type: PredictionType,
    settings: TrainSettings,
}

impl<N: Module + Network> Learner<N> {
    /// Prepares a network, which is on its device and without autodiff.
    pub fn new(
        network: N,
        scheduler: &SchedulerConfig,
        settings: &TrainSettings,
        total_steps: u64,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            average: settings.use_ema.then(|| network.clone()),
            network: network.train(),
            optimizer: AdamW::new(settings.adamw()),
            learning_rate: settings.schedule(total_steps),
            schedule: NoiseSchedule::new(scheduler)?,
            prediction_type: scheduler.prediction_type,
            settings: settings.clone(),
        })
    }

    /// Takes one optimiser step over as many micro-batches as the settings say. What it measured stays on the device.
    pub fn step(&mut self, mut next: impl FnMut() -> Result<Batch, TrainError>) -> Result<Pending, TrainError> {
        let index = self.optimizer.step;
        let mut accumulator = Accumulator::default();
        let mut pending = Pending { step: index + 1, ..Pending::default() };
        let device = device(&self.network);
        for _ in 0..self.settings.gradient_accumulation_steps {
            let batch = next()?;
            let trained = Trained::new(&self.network, self.settings.mixed_precision);
            let condition = batch.conditions.map(|conditions| conditions.upload(&device));
            let denoiser = Denoiser::new(&trained, &self.schedule, self.prediction_type)
                .weighted(self.settings.loss_weighting())
                .conditioned(condition);
            let (samples, noise) =
                (tensor(batch.samples, batch.shape, &device), tensor(batch.noise, batch.shape, &device));
            let losses = denoiser.loss(samples, noise, &batch.timesteps);
            let mut gradients = losses.clone().mean().backward();
            accumulator.add(|sum| {
                parameters::take_gradients(&self.network, &mut gradients, sum);
            });
            pending.losses.push(losses.without_autodiff());
            pending.timesteps.extend(batch.timesteps);
            pending.files.extend(batch.files);
        }

        let (mut gradients, norm) = clip_by_global_norm(accumulator.average(), self.settings.max_grad_norm);
        pending.gradient_norm = norm;
        let rate = self.learning_rate.at(index);
        self.optimizer.begin_step();
        self.network = parameters::map(self.network.clone(), |name, value| match gradients.remove(name) {
            Some(gradient) => self.optimizer.update(name, value, gradient, rate),
            None => value,
        });
        if let Some(average) = self.average.take() {
            self.average = Some(ema::update(average, &values(&self.network), self.settings.ema_decay().at(index)));
        }
        Ok(pending)
    }

    /// The weights to publish, sample from and validate with, without autodiff: the average where there is one. The
    /// live weights are not touched.
    pub fn published(&self) -> N {
        self.average.clone().unwrap_or_else(|| self.network.valid())
    }

    /// The noise schedule.
    pub fn schedule(&self) -> &NoiseSchedule {
        &self.schedule
    }

    /// The learning rate of the last step, and the decay of the average in it.
    pub fn rates(&self) -> (f64, Option<f64>) {
        let index = self.optimizer.step.saturating_sub(1);
        (self.learning_rate.at(index), self.average.as_ref().map(|_| self.settings.ema_decay().at(index)))
    }

    /// Writes weights, average and optimiser state into `folder`, as safetensors under the network's published names.
    pub fn save(&self, folder: &Path) -> Result<(), TrainError> {
        checkpoint::save(&self.network, &folder.join(WEIGHTS))?;
        if let Some(average) = &self.average {
            checkpoint::save(average, &folder.join(AVERAGE))?;
        }
        let moments = |part: fn(&Moments) -> &Tensor<1>| {
            parameters::map(self.network.valid(), |name, value| match self.optimizer.moments.get(name) {
                Some(moments) => part(moments).clone(),
                None => value.zeros_like(),
            })
        };
        checkpoint::save(&moments(|moments| &moments.first), &folder.join(FIRST_MOMENTS))?;
        Ok(checkpoint::save(&moments(|moments| &moments.second), &folder.join(SECOND_MOMENTS))?)
    }

    /// Continues after `step` from what [`Learner::save`] wrote.
    pub fn load(&mut self, folder: &Path, step: u64) -> Result<(), TrainError> {
        let load = |name: &str| -> Result<Named, TrainError> {
            let checkpoint = Checkpoint::open(&folder.join(name))?;
            Ok(values(&checkpoint::load(self.network.valid(), &checkpoint)?))
        };
        let (first, second) = (load(FIRST_MOMENTS)?, load(SECOND_MOMENTS)?);
        let pairs = first.into_iter().zip(second.into_values());
        self.optimizer.moments = pairs.map(|((name, first), second)| (name, Moments { first, second })).collect();
        self.optimizer.step = step;
        let weights = Checkpoint::open(&folder.join(WEIGHTS))?;
        self.network = settled(checkpoint::load(self.network.clone(), &weights)?);
        if let Some(average) = self.average.take() {
            let path = folder.join(AVERAGE);
            // A run that begins to average now starts from the live weights.
            let loaded = if path.exists() {
                settled(checkpoint::load(average, &Checkpoint::open(&path)?)?)
            } else {
                self.network.valid()
            };
            self.average = Some(loaded);
        }
        Ok(())
    }
}

/// The network with its parameters laid out in memory as a step leaves them: a matrix product rounds by the order in which
/// it finds its numbers, and a resumed run is to round as an uninterrupted one.
fn settled<N: Module>(network: N) -> N {
    parameters::map(network, |_, value| value)
}

fn values<N: Module>(network: &N) -> Named {
    let mut values = Named::new();
    parameters::visit(network, |name, _, value| {
        values.insert(name.to_string(), value);
    });
    values
}

/// The device of a network's parameters.
pub fn device<N: Module>(network: &N) -> Device {
    network.devices().into_iter().next().unwrap_or_else(Device::flex)
}

/// Moves host values to a device.
pub fn tensor(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
