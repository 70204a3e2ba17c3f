//! The losses of the autoencoder's training: LPIPS and the discriminator against their published form, on fixtures of
//! `scripts/reference/perceptual.py`, and what our own perceptual distance promises.
#![allow(clippy::unwrap_used)]

#[path = "common/taps.rs"]
mod taps;

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::network::NetworkConfig;
use nocturne_models::parameters;
use nocturne_models::patch_gan::{PatchGanConfig, adaptive_weight, discriminator_loss};
use nocturne_models::perceptual::{Lpips, Perceptual, Spectral};
use nocturne_models::random::Random;
use taps::{TOLERANCE, Taps, fixture, host};

fn checkpoint(name: &str) -> Checkpoint {
    Checkpoint::open(&fixture(&format!("perceptual/{name}"))).unwrap()
}

fn lpips() -> Lpips {
    Lpips::load(checkpoint("vgg16.pth"), checkpoint("lpips.pth"), &Device::flex()).unwrap()
}

#[test]
fn lpips_and_its_gradient_are_the_published_ones() {
    let device = Device::flex().autodiff();
    let taps = Taps::open("perceptual/taps.safetensors", &device);
    let first = taps.tensor::<4>("first").require_grad();
    let distance = lpips().distance(first.clone(), taps.tensor("second"));
    taps.compare("distance", &distance);
    let gradients = distance.sum().backward();
    taps.compare("gradient", &first.grad(&gradients).unwrap());
}

#[test]
fn lpips_of_equal_pictures_is_zero_with_a_finite_gradient() {
    let first = picture("equal", 32).autodiff().require_grad();
    let distance = lpips().distance(first.clone(), first.clone().detach());
    assert_eq!(host(&distance), [0.0]);
    let gradient = first.grad(&distance.backward()).unwrap();
    assert!(host(&gradient).iter().all(|value| *value == 0.0));
}

#[test]
fn files_that_are_no_lpips_are_refused() {
    for (vgg, linear, word) in [
        ("lpips.pth", "lpips.pth", "features.0.weight"),
        ("vgg16.pth", "vgg16.pth", "lin.0.weight"),
        ("vgg16.pth", "gan.ckpt", "unexpected"),
    ] {
        let error = Lpips::load(checkpoint(vgg), checkpoint(linear), &Device::flex()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let perceptual = Perceptual::Lpips(lpips());
    perceptual.check_shape([1, 16, 64]).unwrap();
    assert_eq!(perceptual.check_shape([2, 16, 64]).unwrap_err().field, "in_channels");
    assert_eq!(perceptual.check_shape([1, 8, 64]).unwrap_err().field, "sample_size");
}

#[test]
fn the_discriminator_and_its_gradients_are_the_published_ones() {
    let device = Device::flex().autodiff();
    let taps = Taps::open("perceptual/taps.safetensors", &device);
    let expected = Taps::open("perceptual/gan_gradients.safetensors", &device);
    let config = PatchGanConfig { input_nc: 1, ndf: 2, n_layers: 3 };
    let network = config.load(checkpoint("gan.ckpt"), &device).unwrap();
    let [of_real, of_fake] = ["real", "fake"].map(|name| network.forward(taps.tensor(name)));
    taps.compare("of_real", &of_real);
    taps.compare("of_fake", &of_fake);
    let loss = discriminator_loss(of_real, of_fake);
    taps.compare("discriminator_loss", &loss);
    let mut gradients = loss.backward();
    let mut seen = Vec::new();
    parameters::take_gradients(&network, &mut gradients, |name, values| {
        let error = expected.error(name, &host(&values));
        assert!(error < TOLERANCE, "{name}: relative error {error:e}");
        seen.push(name.to_owned());
    });
    seen.sort();
    assert_eq!(seen, expected.file.names().collect::<Vec<_>>());
}

#[test]
fn a_fresh_discriminator_has_the_published_size_and_spread() {
    let config = PatchGanConfig { input_nc: 1, ..PatchGanConfig::default() };
    // As torch counts NLayerDiscriminator(input_nc=1): 16·64+64, 16·64·128+2·128, …, 16·512+1.
    assert_eq!(config.parameter_count().unwrap(), 2_763_585);
    let network = config.init(&Device::flex(), &mut Random::new(3, "discriminator", 0)).unwrap();
    parameters::visit(&network, |name, shape, values| {
        let values = host(&values);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let spread = (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt();
        let norm = shape.len() == 1 && name.ends_with(".weight");
        match (shape.len(), norm) {
            (1, false) => assert!(values.iter().all(|value| value.abs() <= 0.25), "{name}"),
            (_, norm) => {
                // Four standard errors of the mean, and as wide for the spread.
                let error = 4.0 * 0.02 / (values.len() as f32).sqrt();
                assert!((mean - if norm { 1.0 } else { 0.0 }).abs() < error, "{name}: {mean}");
                assert!((spread - 0.02).abs() < error, "{name}: {spread}");
            }
        }
    });
    config.check_size([24, 24]).unwrap();
    assert!(config.check_size([23, 64]).is_err());
}

#[test]
fn the_adaptive_weight_is_a_quotient_of_norms_with_a_bound() {
    let gradient = |value: f32| Tensor::<4>::full([1, 4, 1, 1], value, &Device::flex());
    let weight = |rec, adversary| adaptive_weight(gradient(rec), gradient(adversary), 0.5).into_scalar::<f32>();
    // ‖(3, 3, 3, 3)‖ = 6.
    assert!((weight(3.0, 1.5) - 0.5 * 6.0 / 3.0001).abs() < 1e-6);
    assert_eq!(weight(3.0, 0.0), 0.5 * 1e4);
}

/// Normal numbers, one picture.
fn picture(stream: &str, side: usize) -> Tensor<4> {
    let values: Vec<f32> = Random::new(5, stream, 0).normal(side * side).iter().map(|value| 0.2 * value).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, side, side]), &Device::flex())
}

fn spectral(made: Tensor<4>, original: Tensor<4>) -> f32 {
    Spectral::new(&Device::flex()).distance(made, original).into_scalar()
}

/// The reason for it: of a texture, pixels alone prefer the blur to the texture with its grains elsewhere.
#[test]
fn another_grain_of_the_same_texture_is_nearer_than_its_blur() {
    let (original, same_kind, blur) = (picture("a", 64), picture("b", 64), picture("a", 64) * 0.0);
    let pixels = |made: &Tensor<4>| (made.clone() - original.clone()).abs().mean().into_scalar::<f32>();
    assert!(pixels(&blur) < pixels(&same_kind));
    let (near, far) = (spectral(same_kind, original.clone()), spectral(blur, original.clone()));
    assert!(near < 0.7 * far, "{near} {far}");
    assert_eq!(spectral(original.clone(), original), 0.0);
}

#[test]
fn the_level_of_a_picture_is_left_to_the_pixels() {
    let original = picture("a", 32);
    let louder = original.clone() + 0.3;
    assert!(spectral(louder, original.clone()) < 1e-5);
    assert!(spectral(original.clone() * 1.3, original) > 0.05);
}

/// Written out from the definition, for one patch of one frequency.
#[test]
fn a_wave_in_a_patch_has_its_frequency_alone() {
    let side = 8;
    let wave = |phase: f32| {
        let values = (0..side * side).map(|at| {
            let column = (at % side) as f32;
            0.4 * (std::f32::consts::TAU * 2.0 * column / side as f32 + phase).cos()
        });
        Tensor::<4>::from_data(TensorData::new(values.collect::<Vec<f32>>(), [1, 1, side, side]), &Device::flex())
    };
    // A shift inside the patch moves no magnitude; the slopes along time differ.
    let slopes = |a: &Tensor<4>, b: &Tensor<4>| {
        let slope =
            |picture: &Tensor<4>| picture.clone().narrow(3, 1, side - 1) - picture.clone().narrow(3, 0, side - 1);
        (slope(a) - slope(b)).abs().mean().into_scalar::<f32>()
    };
    let (first, second) = (wave(0.0), wave(1.0));
    let found = spectral(first.clone(), second.clone());
    assert!((found - slopes(&first, &second)).abs() < 1e-5, "{found}");
}

#[test]
fn the_distance_has_a_finite_gradient_everywhere() {
    let silence = Tensor::<4>::full([1, 1, 32, 48], -1.0, &Device::flex());
    for made in [silence.clone(), silence.clone() + 0.5, picture("a", 48).narrow(2, 0, 32)] {
        let made = made.autodiff().require_grad();
        let gradients = Spectral::new(&Device::flex()).distance(made.clone(), silence.clone()).backward();
        assert!(host(&made.grad(&gradients).unwrap()).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn every_item_has_its_own_distance_at_any_size() {
    for shape in [[4, 4], [8, 16], [16, 9], [64, 24]] {
        let pictures = |stream: &str| {
            let values = Random::new(6, stream, 0).normal(2 * 2 * shape[0] * shape[1]);
            Tensor::<4>::from_data(TensorData::new(values, [2, 2, shape[0], shape[1]]), &Device::flex())
        };
        let (made, original) = (pictures("made"), pictures("original"));
        let distance = Spectral::new(&Device::flex());
        let both = host(&distance.distance(made.clone(), original.clone()));
        let alone =
            |item| host(&distance.distance(made.clone().narrow(0, item, 1), original.clone().narrow(0, item, 1)));
        assert_eq!(both, [alone(0), alone(1)].concat(), "{shape:?}");
        assert!(both.iter().all(|value| *value > 0.0));
    }
}
