//! One optimiser step after another: forward, loss, backward, accumulate, clip, `AdamW`, average.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::diffusion::{Denoiser, Network, NoiseSchedule, PredictionType, SchedulerConfig};
use nocturne_models::parameters;

use super::batches::Batch;
use super::config::TrainSettings;
use super::ema::Average;
use super::error::TrainError;
use super::gradients::{Accumulator, clip_by_global_norm};
use super::learning_rate::LearningRate;
use super::meter::Pending;
use super::optimised::Optimised;
use super::precision::Trained;

/// A network under training, with its optimiser and its average.
pub struct Learner<N> {
    optimised: Optimised<N>,
    average: Option<Average<N>>,
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
            average: settings.use_ema.then(|| Average::new(&network, settings.ema_decay())),
            optimised: Optimised::new(network, settings.adamw()),
            learning_rate: settings.schedule(total_steps),
            schedule: NoiseSchedule::new(scheduler)?,
            prediction_type: scheduler.prediction_type,
            settings: settings.clone(),
        })
    }

    /// Takes one optimiser step over as many micro-batches as the settings say. What it measured stays on the device.
    pub fn step(&mut self, mut next: impl FnMut() -> Result<Batch, TrainError>) -> Result<Pending, TrainError> {
        let index = self.optimised.steps();
        let mut accumulator = Accumulator::default();
        let mut pending = Pending { step: index + 1, ..Pending::default() };
        let network = self.optimised.network();
        let device = device(network);
        for _ in 0..self.settings.gradient_accumulation_steps {
            let batch = next()?;
            let trained = Trained::new(network, self.settings.mixed_precision);
            let condition = batch.conditions.map(|conditions| conditions.upload(&device));
            let denoiser = Denoiser::new(&trained, &self.schedule, self.prediction_type)
                .weighted(self.settings.loss_weighting())
                .conditioned(condition);
            let (samples, noise) =
                (tensor(batch.samples, batch.shape, &device), tensor(batch.noise, batch.shape, &device));
            let losses = denoiser.loss(samples, noise, &batch.timesteps);
            let mut gradients = losses.clone().mean().backward();
            accumulator.add(|sum| {
                parameters::take_gradients(network, &mut gradients, sum);
            });
            pending.losses.push(losses.without_autodiff());
            pending.timesteps.extend(batch.timesteps);
            pending.files.extend(batch.files);
        }

        let (gradients, norm) = clip_by_global_norm(accumulator.average(), self.settings.max_grad_norm);
        pending.gradient_norm = norm;
        self.optimised.step(gradients, self.learning_rate.at(index));
        if let Some(average) = &mut self.average {
            average.update(self.optimised.network(), index);
        }
        Ok(pending)
    }

    /// The weights to publish, sample from and validate with, without autodiff: the average where there is one. The
    /// live weights are not touched.
    pub fn published(&self) -> N {
        self.average.as_ref().map_or_else(|| self.optimised.network().valid(), |average| average.network().clone())
    }

    /// The noise schedule.
    pub fn schedule(&self) -> &NoiseSchedule {
        &self.schedule
    }

    /// The learning rate of the last step, and the decay of the average in it.
    pub fn rates(&self) -> (f64, Option<f64>) {
        let index = self.optimised.steps().saturating_sub(1);
        (self.learning_rate.at(index), self.average.as_ref().map(|average| average.decay(index)))
    }

    /// Writes weights, average and optimiser state into `folder`, as safetensors under the network's published names.
    pub fn save(&self, folder: &Path) -> Result<(), TrainError> {
        self.optimised.save(folder, "")?;
        self.average.as_ref().map_or(Ok(()), |average| average.save(folder))
    }

    /// Continues after `step` from what [`Learner::save`] wrote.
    pub fn load(&mut self, folder: &Path, step: u64) -> Result<(), TrainError> {
        self.optimised.load(folder, "", step)?;
        self.average.as_mut().map_or(Ok(()), |average| average.load(folder, self.optimised.network()))
    }
}

/// The device of a network's parameters.
pub fn device<N: Module>(network: &N) -> Device {
    network.devices().into_iter().next().unwrap_or_else(Device::flex)
}

/// Moves host values to a device.
pub fn tensor(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
