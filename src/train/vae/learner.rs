//! One optimiser step after another: the autoencoder's, and from some step on the discriminator's.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use nocturne_models::ops::conv2d;
use nocturne_models::parameters;
use nocturne_models::patch_gan::{PatchGan, discriminator_loss};
use nocturne_models::perceptual::Perceptual;
use nocturne_models::vae::{AutoencoderKl, Posterior};

use super::LossSettings;
use super::batch::Pictures;
use super::loss::{Reconstruction, adversary, gradient_at, reconstruction};
use super::meter::Pending;
use crate::train::ema::Average;
use crate::train::gradients::{Accumulator, clip_by_global_norm};
use crate::train::learner::{device, tensor};
use crate::train::learning_rate::LearningRate;
use crate::train::optimised::Optimised;
use crate::train::precision::Trained;
use crate::train::{TrainError, TrainSettings};

/// How the files of the discriminator begin in a checkpoint.
const DISCRIMINATOR: &str = "discriminator_";

/// An autoencoder and a discriminator under training, each with its optimiser.
pub struct VaeLearner {
    autoencoder: Optimised<AutoencoderKl>,
    average: Option<Average<AutoencoderKl>>,
    discriminator: Optimised<PatchGan>,
    perceptual: Perceptual,
    learning_rate: LearningRate,
    loss: LossSettings,
    settings: TrainSettings,
}

impl VaeLearner {
    /// Prepares networks, which are on their device and without autodiff.
    pub fn new(
        autoencoder: AutoencoderKl,
        discriminator: PatchGan,
        perceptual: Perceptual,
        loss: &LossSettings,
        settings: &TrainSettings,
        total_steps: u64,
    ) -> Self {
        Self {
            average: settings.use_ema.then(|| Average::new(&autoencoder, settings.ema_decay())),
            autoencoder: Optimised::new(autoencoder, settings.adamw()),
            discriminator: Optimised::new(discriminator, settings.adamw()),
            perceptual,
            learning_rate: settings.schedule(total_steps),
            loss: loss.clone(),
            settings: settings.clone(),
        }
    }

    /// Takes one optimiser step over as many micro-batches as the settings say. What it measured stays on the device.
    ///
    /// The discriminator learns from the same reconstructions as the autoencoder, where the published code makes them anew
    /// after the autoencoder's step.
    pub fn step(&mut self, mut next: impl FnMut() -> Result<Pictures, TrainError>) -> Result<Pending, TrainError> {
        let index = self.autoencoder.steps();
        let adversarial = self.loss.adversarial(index);
        let (mut of_autoencoder, mut of_discriminator) = (Accumulator::default(), Accumulator::default());
        let mut pending = Pending { step: index + 1, values: Vec::new(), gradient_norm: None, files: Vec::new() };
        for _ in 0..self.settings.gradient_accumulation_steps {
            let pictures = next()?;
            pending.files.extend(pictures.files.clone());
            let values = self.learn(pictures, adversarial, &mut of_autoencoder, &mut of_discriminator);
            pending.values.push(values);
        }
        let rate = self.learning_rate.at(index);
        let (gradients, norm) = clip_by_global_norm(of_autoencoder.average(), self.settings.max_grad_norm);
        pending.gradient_norm = norm;
        self.autoencoder.step(gradients, rate);
        if adversarial {
            self.discriminator.step(of_discriminator.average(), rate);
        }
        if let Some(average) = &mut self.average {
            average.update(self.autoencoder.network(), index);
        }
        Ok(pending)
    }

    /// Adds the gradients of one micro-batch; gives what [`super::meter::MEASURES`] names.
    fn learn(
        &self,
        pictures: Pictures,
        adversarial: bool,
        of_autoencoder: &mut Accumulator,
        of_discriminator: &mut Accumulator,
    ) -> Vec<Tensor<1>> {
        let device = device(self.autoencoder.network());
        let original = tensor(pictures.samples, pictures.shape, &device);
        let noise = tensor(pictures.noise, pictures.latent_shape, &device);

        let trained = Trained::new(self.autoencoder.network(), self.settings.mixed_precision);
        let (network, dtype) = trained.network();
        let Posterior { mean, logvar } = network.encode(original.clone().cast(dtype));
        let posterior = Posterior { mean: mean.cast(DType::F32), logvar: logvar.cast(DType::F32) };
        let features = network.features(posterior.sample(noise).cast(dtype));
        let made = conv2d(&network.decoder.conv_out, features.clone()).cast(DType::F32);

        let seen = made.clone().detach().require_grad();
        let Reconstruction { pixels, perceptual, total } =
            reconstruction(seen.clone(), original.clone(), &self.perceptual, &self.loss);
        let reconstructing = total.mean();
        let mut gradient = gradient_at(&seen, &reconstructing);
        let made_once = made.clone().without_autodiff();
        let kl = posterior.kl().mean();
        let loss = reconstructing.without_autodiff() + kl.clone().without_autodiff() * self.loss.kl_weight;
        let mut measured = vec![
            loss,
            pixels.without_autodiff().mean(),
            perceptual.without_autodiff().mean(),
            kl.clone().without_autodiff(),
        ];
        if adversarial {
            let last = self.autoencoder.network().decoder.conv_out.clone();
            let judge = self.discriminator.network().clone().no_grad();
            let features = features.detach().cast(DType::F32);
            let adversary = adversary(&judge, &last, &features, &made_once, &gradient, &self.loss);
            gradient = gradient + adversary.gradient;

            let judge = self.discriminator.network();
            let [of_real, of_made] = [original, made_once.autodiff()].map(|picture| judge.forward(picture));
            let loss = discriminator_loss(of_real, of_made) * self.loss.disc_factor;
            let mut gradients = loss.backward();
            of_discriminator.add(|sum| parameters::take_gradients(judge, &mut gradients, sum));
            measured.extend([adversary.loss, loss.without_autodiff(), adversary.weight]);
        }
        // The gradient of all losses at the reconstructions, carried on from there.
        let mut gradients = ((made * gradient).sum() + kl * self.loss.kl_weight).backward();
        of_autoencoder.add(|sum| parameters::take_gradients(self.autoencoder.network(), &mut gradients, sum));
        measured
    }

    /// The weights to publish, without autodiff: the average where there is one. The live weights are not touched.
    pub fn published(&self) -> AutoencoderKl {
        self.average.as_ref().map_or_else(|| self.autoencoder.network().valid(), |average| average.network().clone())
    }

    /// What reconstructions are compared with.
    pub fn perceptual(&self) -> &Perceptual {
        &self.perceptual
    }

    /// The learning rate of the last step.
    pub fn rate(&self) -> f64 {
        self.learning_rate.at(self.autoencoder.steps().saturating_sub(1))
    }

    /// Writes weights, average and optimiser states into `folder`.
    pub fn save(&self, folder: &Path) -> Result<(), TrainError> {
        self.autoencoder.save(folder, "")?;
        self.discriminator.save(folder, DISCRIMINATOR)?;
        self.average.as_ref().map_or(Ok(()), |average| average.save(folder))
    }

    /// Continues after `step` from what [`VaeLearner::save`] wrote.
    pub fn load(&mut self, folder: &Path, step: u64) -> Result<(), TrainError> {
        self.autoencoder.load(folder, "", step)?;
        self.discriminator.load(folder, DISCRIMINATOR, step.saturating_sub(self.loss.disc_start))?;
        self.average.as_mut().map_or(Ok(()), |average| average.load(folder, self.autoencoder.network()))
    }
}
