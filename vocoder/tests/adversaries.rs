//! The discriminators and losses of BigVGAN's training against the published implementation, on fixtures of
//! `scripts/reference/adversaries.py`, and what they promise.
#![allow(clippy::unwrap_used)]

#[path = "../../models/tests/common/taps.rs"]
mod taps;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::network::NetworkConfig;
use nocturne_models::parameters;
use nocturne_models::weight_norm::WeightNorm;
use nocturne_vocoder::adversaries::{
    Adversaries, AdversariesConfig, Judgement, MelLoss, Spectra, Transforms, discriminator_loss, generator_loss,
};
use nocturne_vocoder::mel::LogMelConfig;
use taps::{TOLERANCE, Taps, fixture, host};

const VERSIONS: [&str; 2] = ["v1", "v2"];

struct Version {
    config: AdversariesConfig,
    network: Adversaries,
    transforms: Transforms,
    mel_loss: MelLoss,
    taps: Taps,
    gradients: Taps,
    weights: Checkpoint,
}

impl Version {
    fn open(name: &str) -> Self {
        let device = Device::flex();
        let text = std::fs::read(fixture(&format!("adversaries/{name}/config.json"))).unwrap();
        let config: AdversariesConfig = serde_json::from_slice(&text).unwrap();
        config.validate().unwrap();
        let weights = fixture(&format!("adversaries/{name}/bigvgan_discriminator_optimizer.pt"));
        let weights = Checkpoint::open(&weights).unwrap();
        let mel_loss = if name == "v2" {
            MelLoss::multi_scale(config.sampling_rate, &device)
        } else {
            let mel: LogMelConfig = serde_json::from_slice(&text).unwrap();
            MelLoss::single_scale(&LogMelConfig { fmax: Some(3500.0), ..mel }, &device)
        };
        Self {
            network: config.load(weights.clone(), &device).unwrap(),
            transforms: Transforms::new(&config, &device),
            mel_loss,
            config,
            taps: Taps::open(&format!("adversaries/{name}/taps.safetensors"), &device),
            gradients: Taps::open(&format!("adversaries/{name}/gradients.safetensors"), &device),
            weights,
        }
    }

    fn judge(&self, network: &Adversaries, wave: &Tensor<3>) -> Vec<Judgement> {
        network.judge(wave, &self.transforms.spectra(wave))
    }

    /// The name and number of every discriminator, in the order of their judgements.
    fn places(&self, count: usize) -> impl Iterator<Item = String> {
        let periods = self.config.mpd_reshapes.len();
        (0..count).map(move |index| match index.checked_sub(periods) {
            None => format!("mpd.{index}"),
            Some(index) => format!("mrd.{index}"),
        })
    }
}

#[test]
fn spectra_are_the_published_ones() {
    for name in VERSIONS {
        let version = Version::open(name);
        let wave = version.taps.tensor::<3>("wave").narrow(0, 0, 1);
        match version.transforms.spectra(&wave) {
            Spectra::Magnitudes(resolutions) => {
                for (index, magnitudes) in resolutions.into_iter().enumerate() {
                    version.taps.compare(&format!("mrd.{index}.spectrum"), &magnitudes.squeeze_dim::<3>(1));
                }
            }
            Spectra::ConstantQ(scales) => {
                for (index, octaves) in scales.into_iter().enumerate() {
                    // Published as [batch, bin, frame, part].
                    let found = Tensor::cat(octaves, 3).permute([0, 3, 2, 1]);
                    version.taps.compare(&format!("mrd.{index}.spectrum"), &found);
                }
            }
        }
    }
}

#[test]
fn every_layer_matches() {
    for name in VERSIONS {
        let version = Version::open(name);
        let wave = version.taps.tensor::<3>("wave").narrow(0, 0, 1);
        let judgements = version.judge(&version.network, &wave);
        assert_eq!(judgements.len(), if name == "v1" { 5 } else { 4 });
        for (place, Judgement { verdict, features }) in version.places(judgements.len()).zip(&judgements) {
            for (layer, found) in features.iter().enumerate() {
                version.taps.compare(&format!("{place}.features.{layer}"), found);
            }
            assert!(version.taps.file.shape(&format!("{place}.features.{}", features.len())).is_none(), "{place}");
            // Flattened in PyTorch where it is not a picture.
            let error = version.taps.error(&format!("{place}.verdict"), &host(verdict));
            assert!(error < TOLERANCE, "{place}: relative error {error:e}");
        }
    }
}

#[test]
fn losses_match() {
    for name in VERSIONS {
        let version = Version::open(name);
        let [wave, made] = ["wave", "made"].map(|tap| version.taps.tensor::<3>(tap));
        let [of_wave, of_made] = [&wave, &made].map(|wave| version.judge(&version.network, wave));
        let game = generator_loss(&of_wave, &of_made);
        let losses = [
            ("discriminator_loss", discriminator_loss(&of_wave, &of_made)),
            ("fooling", game.fooling),
            ("matching", game.matching),
            ("mel_loss", version.mel_loss.distance(&made, &version.mel_loss.mels(&wave))),
        ];
        for (tap, found) in losses {
            let error = version.taps.error(tap, &host(&found));
            assert!(error < TOLERANCE, "{name} {tap}: relative error {error:e}");
        }
    }
}

/// Through the weight norm to magnitudes and directions.
#[test]
fn gradients_of_the_discriminators_match() {
    for name in VERSIONS {
        let version = Version::open(name);
        let network = version.network.clone().train();
        let [wave, made] = ["wave", "made"].map(|tap| version.taps.tensor::<3>(tap));
        let [of_wave, of_made] = [&wave, &made].map(|wave| version.judge(&network, wave));
        let mut gradients = discriminator_loss(&of_wave, &of_made).backward();
        let mut seen = 0;
        parameters::take_gradients(&network, &mut gradients, |parameter, gradient| {
            let expect = |key: &str, gradient: &Tensor<1>| {
                let error = version.gradients.error(key, &host(gradient));
                assert!(error < TOLERANCE, "{name} {key}: relative error {error:e}");
            };
            if !version.config.is_normed(parameter) {
                expect(parameter, &gradient);
                seen += 1;
                return;
            }
            let layer = parameter.strip_suffix(".weight").unwrap();
            let keys = if name == "v1" {
                ["original0", "original1"].map(|part| format!("{layer}.parametrizations.weight.{part}"))
            } else {
                ["weight_g", "weight_v"].map(|part| format!("{layer}.{part}"))
            };
            let parts = keys.clone().map(|key| {
                let values = version.weights.read(&key).unwrap();
                let count = values.len();
                Tensor::from_data(TensorData::new(values, [count]), &Device::flex())
            });
            let [magnitude, direction] = parts;
            // Gradients are named in the older form in both.
            let published = ["weight_g", "weight_v"].map(|part| format!("{layer}.{part}"));
            let found = WeightNorm { magnitude, direction }.gradients(&gradient);
            for (key, gradient) in published.iter().zip(&found) {
                expect(key, gradient);
                seen += 1;
            }
        });
        // All but the recordings' own.
        assert_eq!(seen, version.gradients.file.names().count() - 1, "{name}");
    }
}

#[test]
fn the_gradient_at_what_was_made_matches() {
    for name in VERSIONS {
        let version = Version::open(name);
        let wave = version.taps.tensor::<3>("wave");
        let made = version.taps.tensor::<3>("made").autodiff().require_grad();
        let [of_wave, of_made] = [&wave, &made].map(|wave| version.judge(&version.network, wave));
        let game = generator_loss(&of_wave, &of_made);
        let mel = version.mel_loss.distance(&made, &version.mel_loss.mels(&wave));
        let weight = if name == "v1" { 45.0 } else { 15.0 };
        let gradients = (game.fooling + game.matching + mel * weight).backward();
        version.gradients.compare("made", &made.grad(&gradients).unwrap().without_autodiff());
    }
}

#[test]
fn silence_has_a_finite_gradient() {
    for name in VERSIONS {
        let version = Version::open(name);
        let wave = version.taps.tensor::<3>("wave");
        let made = wave.zeros_like().autodiff().require_grad();
        let [of_wave, of_made] = [&wave, &made].map(|wave| version.judge(&version.network, wave));
        let game = generator_loss(&of_wave, &of_made);
        let mel = version.mel_loss.distance(&made, &version.mel_loss.mels(&wave));
        let gradients = (game.fooling + game.matching + mel).backward();
        let gradient = host(&made.grad(&gradients).unwrap().without_autodiff());
        assert!(gradient.iter().all(|value| value.is_finite()), "{name}");
    }
}

#[test]
fn what_cannot_be_built_names_its_field() {
    let field = |change: fn(&mut AdversariesConfig)| {
        let mut config = AdversariesConfig::second(22050);
        change(&mut config);
        config.validate().map_err(|error| error.field)
    };
    assert_eq!(field(|_| ()), Ok(()));
    assert_eq!(field(|c| c.use_cqtd_instead_of_mrd = false), Ok(()));
    assert_eq!(field(|c| c.mpd_reshapes[2] = 0), Err("mpd_reshapes"));
    assert_eq!(field(|c| c.discriminator_channel_mult = f64::NAN), Err("discriminator_channel_mult"));
    assert_eq!(field(|c| c.use_spectral_norm = true), Err("use_spectral_norm"));
    assert_eq!(field(|c| c.use_mbd_instead_of_mrd = true), Err("use_mbd_instead_of_mrd"));
    assert_eq!(field(|c| c.cqtd_hop_lengths[0] = 128), Err("cqtd_hop_lengths"));
    assert_eq!(field(|c| c.cqtd_hop_lengths[0] = 768), Err("cqtd_hop_lengths"));
    assert_eq!(field(|c| c.cqtd_n_octaves.truncate(2)), Err("cqtd_n_octaves"));
    // The tenth octave above C1 is beyond what 22.05 kHz hold at twice the rate.
    assert_eq!(field(|c| c.cqtd_n_octaves[0] = 10), Err("cqtd_n_octaves"));
    assert_eq!(field(|c| c.cqtd_bins_per_octaves[1] = 1), Err("cqtd_bins_per_octaves"));
    assert_eq!(field(|c| c.cqtd_filters_scale = 2), Err("cqtd_filters_scale"));
    assert_eq!(field(|c| c.cqtd_normalize_volume = true), Err("cqtd_normalize_volume"));
    let first = |change: fn(&mut AdversariesConfig)| {
        let mut config = AdversariesConfig::default();
        change(&mut config);
        config.validate().map_err(|error| error.field)
    };
    assert_eq!(first(|c| c.resolutions[1] = [512, 600, 512]), Err("resolutions"));
    assert_eq!(first(|c| c.resolutions.clear()), Err("resolutions"));
}

#[test]
fn a_file_of_other_discriminators_is_refused() {
    let (first, second) = (Version::open("v1"), Version::open("v2"));
    let error = second.config.load(first.weights, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("mrd.discriminators.0.conv_pres.0.weight"), "{error}");
}
