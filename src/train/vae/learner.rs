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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use burn::tensor::Device;
    use nocturne_models::network::NetworkConfig;
    use nocturne_models::perceptual::Spectral;
    use nocturne_models::random::Random;
    use nocturne_models::vae::AutoencoderKlConfig;

    use super::*;
    use crate::train::gradients::Named;
    use crate::train::optimised::values;
    use crate::train::precision::Precision;
    use crate::train::vae::train_settings;

    const ITEMS: usize = 2;
    const SHAPE: [usize; 4] = [ITEMS, 1, 16, 24];
    const LATENT: [usize; 4] = [ITEMS, 2, 8, 12];

    fn learner(loss: &LossSettings, mixed_precision: Precision) -> VaeLearner {
        let device = Device::flex();
        let model = AutoencoderKlConfig {
            in_channels: 1,
            out_channels: 1,
            latent_channels: LATENT[1],
            norm_num_groups: 2,
            ..AutoencoderKlConfig::default()
        };
        let network = model.with_channels(vec![4, 8]).init(&device, &mut Random::new(1, "weights", 0)).unwrap();
        let discriminator = loss.discriminator(1).init(&device, &mut Random::new(1, "judge", 0)).unwrap();
        let perceptual = Perceptual::Spectral(Box::new(Spectral::new(&device)));
        let settings = TrainSettings { learning_rate: 1e-3, mixed_precision, ..train_settings() };
        VaeLearner::new(network, discriminator, perceptual, loss, &settings, 10)
    }

    fn loss() -> LossSettings {
        // A divergence that weighs as much as the rest, so that leaving it out would show.
        LossSettings {
            kl_weight: 1.0,
            perceptual_weight: 0.25,
            disc_start: 1,
            disc_ndf: 4,
            disc_num_layers: 1,
            ..LossSettings::default()
        }
    }

    fn pictures() -> Pictures {
        let size = SHAPE.iter().product();
        Pictures {
            shape: SHAPE,
            samples: Random::new(2, "mels", 0).normal(size).into_iter().map(|value| (0.5 * value).tanh()).collect(),
            latent_shape: LATENT,
            noise: Random::new(2, "noise", 0).normal(LATENT.iter().product()),
            files: vec!["a.wav".to_owned(); ITEMS],
        }
    }

    fn host(named: Named) -> BTreeMap<String, Vec<f32>> {
        named.into_iter().map(|(name, values)| (name, values.into_data().iter::<f32>().collect())).collect()
    }

    #[track_caller]
    fn compare(found: Named, expected: Named) {
        let (found, expected) = (host(found), host(expected));
        assert!(found.keys().eq(expected.keys()), "{:?} and {:?}", found.keys(), expected.keys());
        for (name, expected) in &expected {
            let most = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let far = found[name].iter().zip(expected).fold(0.0_f32, |far, (a, b)| far.max((a - b).abs()));
            assert!(far <= 1e-3 * most + 1e-5, "{name}: off by {far} of {most}");
        }
    }

    fn gradients<N: Module>(network: &N, loss: &Tensor<1>) -> Named {
        let mut found = Named::new();
        parameters::take_gradients(network, &mut loss.backward(), |name, gradient| {
            found.insert(name.to_owned(), gradient);
        });
        found
    }

    /// The published form: one graph from the pictures to every loss, passed backward for each norm, and the reconstructions
    /// as constants for the discriminator. What either learns from the other's loss would be missing or too much here.
    #[test]
    fn gradients_are_those_of_the_published_losses() {
        let settings = loss();
        let learner = learner(&settings, Precision::F32);
        let (mut of_autoencoder, mut of_discriminator) = (Accumulator::default(), Accumulator::default());
        let measured = learner.learn(pictures(), true, &mut of_autoencoder, &mut of_discriminator);
        let measured: Vec<f32> = measured.into_iter().map(Tensor::into_scalar::<f32>).collect();

        let (network, judge) = (learner.autoencoder.network(), learner.discriminator.network());
        let Pictures { shape, samples, latent_shape, noise, .. } = pictures();
        let device = device(network);
        let (original, noise) = (tensor(samples, shape, &device), tensor(noise, latent_shape, &device));
        let forward = || {
            let posterior = network.encode(original.clone());
            let made = network.decode(posterior.sample(noise.clone()));
            let pixels = (made.clone() - original.clone()).abs().sum() / ITEMS as f64;
            let distance = learner.perceptual.distance(made.clone(), original.clone()).mean();
            let reconstructing = pixels + distance * settings.perceptual_weight * (SHAPE[2] * SHAPE[3]) as f64;
            let fooling = -judge.forward(made.clone()).mean();
            (made, reconstructing, fooling, posterior.kl().sum() / ITEMS as f64)
        };
        let norm = |loss: Tensor<1>| {
            let last = network.decoder.conv_out.weight.val().grad(&loss.backward()).unwrap();
            f64::from(last.square().sum().sqrt().into_scalar::<f32>())
        };
        let quotient = norm(forward().1) / (norm(forward().2) + 1e-4);
        assert!(quotient < 1e4, "{quotient}, which is cut");
        let weight = quotient * settings.disc_weight;
        assert!((f64::from(measured[6]) - weight).abs() < 1e-4 * weight, "{} is not {weight}", measured[6]);

        let (_, reconstructing, fooling, kl) = forward();
        let expected = gradients(network, &(reconstructing + kl + fooling * weight));
        compare(of_autoencoder.average(), expected);

        let made = forward().0.detach();
        let [of_real, of_made] = [original.clone(), made].map(|picture| judge.forward(picture));
        let hinge = ((-of_real + 1.0).clamp_min(0.0).mean() + (of_made + 1.0).clamp_min(0.0).mean()) / 2.0;
        compare(of_discriminator.average(), gradients(judge, &hinge));

        let (_, reconstructing, fooling, kl) = forward();
        let expected = [(reconstructing + kl.clone()), kl, fooling, hinge].map(Tensor::into_scalar::<f32>);
        for (found, expected) in [measured[0], measured[3], measured[4], measured[5]].into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4 * expected.abs(), "{found} is not {expected}");
        }
    }

    #[test]
    fn the_discriminator_rests_until_its_step() {
        let [mut learner, mut alone] =
            [loss(), LossSettings { disc_factor: 0.0, ..loss() }].map(|loss| learner(&loss, Precision::F32));
        let judge = |learner: &VaeLearner| host(values(learner.discriminator.network()));
        let weights = |learner: &VaeLearner| host(values(learner.autoencoder.network()));
        let first = judge(&learner);
        assert_eq!(learner.step(|| Ok(pictures())).unwrap().values[0].len(), 4);
        alone.step(|| Ok(pictures())).unwrap();
        assert!(judge(&learner) == first, "the discriminator moved before its step");
        assert!(weights(&learner) == weights(&alone), "the discriminator was listened to before its step");
        assert_eq!(learner.step(|| Ok(pictures())).unwrap().values[0].len(), 7);
        alone.step(|| Ok(pictures())).unwrap();
        // Its last bias may rest: the hinges pull at it from both sides.
        let moved = |(name, values): (&String, &Vec<f32>)| name.ends_with("bias") || *values != first[name];
        assert!(judge(&learner).iter().all(moved), "a layer of the discriminator rests");
        assert!(weights(&learner) != weights(&alone), "the discriminator is not listened to");
    }
    #[test]
    fn mixed_precision_follows_full_precision() {
        let [full, half] = [Precision::F32, Precision::Bf16].map(|precision| {
            let learner = learner(&loss(), precision);
            let (mut sum, mut of_discriminator) = (Accumulator::default(), Accumulator::default());
            learner.learn(pictures(), true, &mut sum, &mut of_discriminator);
            let flat = |sum: Accumulator| host(sum.average()).into_values().flatten().collect::<Vec<f32>>();
            [flat(sum), flat(of_discriminator)]
        });
        for (full, half) in full.iter().zip(&half) {
            let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
            let far = norm(&mut full.iter().zip(half).map(|(a, b)| a - b)) / norm(&mut full.iter().copied());
            // bfloat16 keeps 8 bits: 0.4 % an operation, over some thirty layers; and absolute differences near zero change
            // their gradient's sign.
            assert!(full.len() == half.len() && far > 0.0 && far < 0.2, "off by {far}");
        }
    }
}
