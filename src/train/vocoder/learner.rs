//! One optimiser step after another: the discriminators', then the generator's.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::parameters;
use nocturne_vocoder::adversaries::{Adversaries, MelLoss, Spectra, Transforms, discriminator_loss, generator_loss};
use nocturne_vocoder::bigvgan::Generator;

use super::VocoderConfig;
use super::meter::Pending;
use super::normed::{HostTensor, Normed};
use super::segments::Segments;
use crate::train::TrainError;
use crate::train::gradients::{Named, clip_by_global_norm};
use crate::train::learner::device;

/// How the files of the discriminators begin in a checkpoint.
const DISCRIMINATOR: &str = "discriminator_";

/// A network at the start, and the published file that it was read from, where there is one.
pub struct Start<N> {
    /// On its device and without autodiff.
    pub network: N,
    /// Under the names of the network.
    pub file: Option<Checkpoint>,
}

/// A generator and its adversaries under training.
pub struct VocoderLearner {
    generator: Normed<Generator>,
    adversaries: Normed<Adversaries>,
    transforms: Transforms,
    mel_loss: MelLoss,
    learning_rate: f64,
    lr_decay: f64,
    lambda_melloss: f64,
    max_grad_norm: Option<f64>,
    freeze_step: u64,
}

/// The discriminators after their step.
struct Rival {
    /// Of the recordings.
    spectra: Spectra,
    /// Their loss, and the norms of its gradients.
    measured: Vec<Tensor<1>>,
}

impl VocoderLearner {
    /// Prepares networks of a valid configuration.
    pub fn new(
        generator: Start<Generator>,
        adversaries: Start<Adversaries>,
        config: &VocoderConfig,
    ) -> Result<Self, TrainError> {
        let device = device(&generator.network);
        let (train, vocoder) = (&config.train, &config.vocoder);
        Ok(Self {
            generator: normed(generator, |name| name.ends_with(".weight"), config)?,
            adversaries: normed(adversaries, |name| config.adversaries.is_normed(name), config)?,
            transforms: Transforms::new(&config.adversaries, &device),
            mel_loss: config.mel_loss(&device)?,
            learning_rate: train.learning_rate,
            lr_decay: vocoder.lr_decay,
            lambda_melloss: vocoder.lambda_melloss,
            max_grad_norm: train.max_grad_norm,
            freeze_step: vocoder.freeze_step,
        })
    }

    /// Takes one step of either side, the discriminators first; while they wait, the generator's alone. What it measured stays
    /// on the device.
    pub fn step(&mut self, segments: Segments) -> Pending {
        let index = self.generator.steps();
        let rate = self.rate_at(index);
        let device = device(self.generator.network());
        let Segments { waves, mels, mel_shape, files } = segments;
        let [batch, bands, frames] = mel_shape;
        let samples = waves.len() / batch;
        let wave = Tensor::<3>::from_data(TensorData::new(waves, [batch, 1, samples]), &device).without_autodiff();
        let mel = Tensor::<3>::from_data(TensorData::new(mels, [batch, bands, frames]), &device);
        let made = self.generator.network().forward(mel);
        let rival = (index >= self.freeze_step).then(|| self.challenge(&wave, &made, rate));

        let seen = made.clone().without_autodiff().autodiff().require_grad();
        let of_mel = self.mel_loss.distance(&seen, &self.mel_loss.mels(&wave));
        let loss = of_mel.clone() * self.lambda_melloss;
        let (loss, of_rival) = match rival {
            None => (loss, Vec::new()),
            Some(Rival { spectra, measured }) => {
                let judge = self.adversaries.network().valid();
                let of_wave = judge.judge(&wave, &spectra);
                let of_made = judge.judge(&seen, &self.transforms.spectra(&seen));
                let game = generator_loss(&of_wave, &of_made);
                let loss = game.fooling.clone() + game.matching.clone() + loss;
                (loss, [vec![game.matching, game.fooling], measured].concat())
            }
        };
        let gradient = seen.grad(&loss.backward()).map_or_else(|| wave.zeros_like(), Tensor::without_autodiff);
        // The gradient of all losses at what was made, carried on from there.
        let gradients = taken(self.generator.network(), &(made * gradient.autodiff()).sum());
        let (gradients, norm) = clip_by_global_norm(self.generator.of_parts(gradients), self.max_grad_norm);
        self.generator.step(gradients, rate);

        let measured = [vec![loss, norm_or_zero(norm, &device), of_mel], of_rival].concat();
        Pending { step: index + 1, values: measured.into_iter().map(Tensor::without_autodiff).collect(), files }
    }

    /// Takes a step of the discriminators against what was made.
    fn challenge(&mut self, wave: &Tensor<3>, made: &Tensor<3>, rate: f64) -> Rival {
        let made = made.clone().without_autodiff();
        let spectra = self.transforms.spectra(wave);
        let network = self.adversaries.network();
        let of_wave = network.judge(wave, &spectra);
        let of_made = network.judge(&made, &self.transforms.spectra(&made));
        let loss = discriminator_loss(&of_wave, &of_made);
        let gradients = self.adversaries.of_parts(taken(network, &loss));
        let (mpd, mrd): (Named, Named) = gradients.into_iter().partition(|(name, _)| name.starts_with("mpd."));
        let [(mut moving, of_mpd), (of_spectra, of_mrd)] =
            [mpd, mrd].map(|gradients| clip_by_global_norm(gradients, self.max_grad_norm));
        moving.extend(of_spectra);
        self.adversaries.step(moving, rate);
        let device = wave.device();
        let measured = vec![loss, norm_or_zero(of_mpd, &device), norm_or_zero(of_mrd, &device)];
        Rival { spectra, measured }
    }

    /// How far the mels of made waveforms are from those of `segments`.
    pub fn mel_distance(&self, segments: Segments) -> f64 {
        let device = device(self.generator.network());
        let Segments { waves, mels, mel_shape, .. } = segments;
        let shape = [mel_shape[0], 1, waves.len() / mel_shape[0]];
        let wave = Tensor::<3>::from_data(TensorData::new(waves, shape), &device).without_autodiff();
        let mel = Tensor::<3>::from_data(TensorData::new(mels, mel_shape), &device).without_autodiff();
        let made = self.generator().forward(mel);
        f64::from(self.mel_loss.distance(&made, &self.mel_loss.mels(&wave)).into_scalar::<f32>())
    }

    /// The generator, without autodiff.
    pub fn generator(&self) -> Generator {
        self.generator.network().valid()
    }

    /// Generator and adversaries under their published names.
    pub fn published(&self) -> [BTreeMap<String, HostTensor>; 2] {
        [self.generator.published(), self.adversaries.published()]
    }

    /// The learning rate of the last step.
    pub fn rate(&self) -> f64 {
        self.rate_at(self.generator.steps().saturating_sub(1))
    }

    fn rate_at(&self, step: u64) -> f64 {
        self.learning_rate * libm::pow(self.lr_decay, step as f64)
    }

    /// Writes weights and optimiser states into `folder`.
    pub fn save(&self, folder: &Path) -> Result<(), TrainError> {
        self.generator.save(folder, "")?;
        self.adversaries.save(folder, DISCRIMINATOR)
    }

    /// Continues after `step` from what [`VocoderLearner::save`] wrote.
    pub fn load(&mut self, folder: &Path, step: u64) -> Result<(), TrainError> {
        self.generator.load(folder, "", step)?;
        self.adversaries.load(folder, DISCRIMINATOR, step.saturating_sub(self.freeze_step))
    }
}

fn normed<N: Module>(
    start: Start<N>,
    is_normed: impl Fn(&str) -> bool,
    config: &VocoderConfig,
) -> Result<Normed<N>, TrainError> {
    let normed = Normed::new(start.network, is_normed, config.train.adamw());
    Ok(match start.file {
        Some(file) => normed.with_parts_of(&file)?,
        None => normed,
    })
}

/// None where there are no gradients, or nothing is clipped.
fn norm_or_zero(norm: Option<Tensor<1>>, device: &Device) -> Tensor<1> {
    norm.unwrap_or_else(|| Tensor::zeros([1], device))
}

fn taken<N: Module>(network: &N, loss: &Tensor<1>) -> Named {
    let mut found = Named::new();
    parameters::take_gradients(network, &mut loss.backward(), |name, gradient| {
        found.insert(name.to_owned(), gradient);
    });
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use nocturne_models::network::NetworkConfig;
    use nocturne_vocoder::bigvgan::BigVganConfig;
    use nocturne_vocoder::mel::LogMel;

    use super::*;
    use crate::config::VocoderExperiment;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("vocoder/tests/fixtures/adversaries/v2").join(name)
    }

    fn learner(freeze_step: u64) -> (VocoderLearner, VocoderConfig) {
        let device = Device::flex();
        let experiment = VocoderExperiment::of_config_json(&fixture("config.json")).unwrap();
        let mut config = experiment.training(PathBuf::new());
        config.vocoder.freeze_step = freeze_step;
        config.validate().unwrap();
        let open = |name: &str| Checkpoint::open(&fixture(name)).unwrap();
        let file = open("bigvgan_generator.pt").rename(|name| config.model.current_name(name)).unwrap();
        let generator = Start { network: config.model.load(file.clone(), &device).unwrap(), file: Some(file) };
        let file = open("bigvgan_discriminator_optimizer.pt");
        let adversaries = Start { network: config.adversaries.load(file.clone(), &device).unwrap(), file: Some(file) };
        (VocoderLearner::new(generator, adversaries, &config).unwrap(), config)
    }

    fn batches(file: &Checkpoint, model: &BigVganConfig) -> Vec<Segments> {
        let mel = LogMel::new(&model.mel).unwrap();
        let &[steps, items, _, samples] = file.shape("batches").unwrap() else { panic!("batches") };
        let waves = file.read("batches").unwrap();
        let batch = |waves: &[f32]| Segments {
            mels: waves.chunks_exact(samples).flat_map(|wave| mel.mel(wave)).collect(),
            waves: waves.to_vec(),
            mel_shape: [items, model.mel.num_mels, mel.frames(samples)],
            files: Vec::new(),
        };
        assert_eq!(steps, 3);
        waves.chunks_exact(items * samples).map(batch).collect()
    }

    fn off(found: &[f32], expected: &[f32]) -> f32 {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
    }

    fn step(learner: &mut VocoderLearner, segments: Segments) -> Vec<f32> {
        learner.step(segments).values.into_iter().map(Tensor::into_scalar::<f32>).collect()
    }

    /// Three steps of the published `train.py` on the same batches: order of the two sides, losses, weight norm, clipping of
    /// each, decay of the rate.
    #[test]
    fn three_steps_are_the_published_ones() {
        let (mut learner, config) = learner(0);
        let expected = Checkpoint::open(&fixture("course.safetensors")).unwrap();
        let measured = expected.read("measured").unwrap();
        for (segments, expected) in batches(&expected, &config.model).into_iter().zip(measured.chunks_exact(7)) {
            let [loss, norm, of_mel, matching, fooling, of_judges, of_mpd, of_mrd] = step(&mut learner, segments)[..]
            else {
                panic!("eight measures")
            };
            let found = [of_mel, fooling, matching, of_judges, of_mpd, of_mrd, norm];
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-3 * expected, "{found} is not {expected}");
            }
            let sum = fooling + matching + 15.0 * of_mel;
            assert!((loss - sum).abs() < 1e-4 * sum, "{loss} is not {sum}");
        }
        let [generator, adversaries] = learner.published();
        let generator = generator.into_iter().map(|(name, tensor)| (format!("generator.{name}"), tensor));
        let found: BTreeMap<String, HostTensor> = generator.chain(adversaries).collect();
        assert_eq!(found.len(), expected.names().count() - 2);
        // Rates of 1, ½ and ¼ of a thousandth, and Adam moves by about the rate.
        for (name, tensor) in found {
            let error = off(&tensor.values, &expected.read(&name).unwrap());
            assert!(error < 1e-4, "{name}: off by {error}");
            assert_eq!(Some(&*tensor.shape), expected.shape(&name), "{name}");
        }
    }

    #[test]
    fn frozen_discriminators_stay_and_are_not_heard() {
        let (mut learner, config) = learner(1);
        let batches = batches(&Checkpoint::open(&fixture("course.safetensors")).unwrap(), &config.model);
        let adversaries = |learner: &VocoderLearner| {
            let [_, adversaries] = learner.published();
            adversaries.into_values().flat_map(|tensor| tensor.values).collect::<Vec<f32>>()
        };
        let before = adversaries(&learner);
        let [loss, _, of_mel] = step(&mut learner, batches[0].clone())[..] else { panic!("three measures") };
        assert_eq!(loss, 15.0 * of_mel);
        assert!(adversaries(&learner) == before);
        assert_eq!(step(&mut learner, batches[1].clone()).len(), 8);
        assert!(adversaries(&learner) != before);
    }

    #[test]
    fn a_resumed_learner_goes_on_bit_for_bit() {
        for freeze_step in [0, 1] {
            let (mut whole, config) = learner(freeze_step);
            let expected = Checkpoint::open(&fixture("course.safetensors")).unwrap();
            let batches = batches(&expected, &config.model);
            let folder = tempfile::tempdir().unwrap();
            for (step, batch) in batches.iter().enumerate() {
                if step == 2 {
                    whole.save(folder.path()).unwrap();
                }
                whole.step(batch.clone());
            }
            let (mut resumed, _) = learner(freeze_step);
            resumed.load(folder.path(), 2).unwrap();
            resumed.step(batches[2].clone());
            for (whole, resumed) in whole.published().into_iter().zip(resumed.published()) {
                for (name, tensor) in whole {
                    assert!(tensor.values == resumed[&name].values, "{name}");
                }
            }
            assert_eq!(whole.rate(), 1e-3 * 0.25);
        }
    }
}
