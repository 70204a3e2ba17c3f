use std::f64::consts::TAU;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor, TensorData};

use crate::ops::conv2d;

/// Pictures are compared as they are and at half, a quarter and an eighth of their size.
const SCALES: usize = 4;
/// Sides of the patches that spectra are taken of, and the step from one to the next.
const PATCH: usize = 8;
const STEP: usize = PATCH / 2;
/// Modulations below this do not count: of a picture in −1…1 that spans 80 dB about 0.8 dB, near what people can hear
/// of a change in level, and nine times the rounding to 8 bits.
const FLOOR: f64 = 0.02;

/// A distance between mel pictures that asks of the details that they be of the right kind, not in the right place.
///
/// A sum of absolute differences over pixels is least where every pixel is the median of what it could be. Of the noise in
/// music, breath, cymbals, reverberation, that is a smooth surface; Griffin-Lim makes a hollow sound of it. People
/// compare such textures by the statistics of their modulations ("Sound Texture Perception via Statistics
/// of the Auditory Periphery", Neuron 71, 2011), and hearing is described by filters for modulations over time and
/// frequency together (Chi, Ru & Shamma, "Multiresolution Spectrotemporal Analysis of Complex Sounds", 2005).
/// So, averaged over several scales:
///
/// * the differences of neighbouring frames and of neighbouring bands, |Δa − Δb|, so that onsets and partials are as steep
///   as they were (Mathieu et al., "Deep Multi-Scale Video Prediction beyond Mean Square Error", 2016);
/// * the magnitudes of the two-dimensional spectrum of every Hann-windowed patch of eight by eight, less its mean, with |a
///   − b| + |ln a − ln b| as in losses over spectrograms (Engel et al., "DDSP", 2020). A magnitude is blind to where inside its patch a grain of the texture lies. Patches twice as large of a
///   picture are patches of the picture at half its size.
///
/// The level itself is left to the loss over pixels, beside which this one stands.
#[derive(Debug)]
pub struct Spectral {
    /// Real parts, then imaginary parts, of the spectrum of every patch.
    analysis: Conv2d,
}

impl Spectral {
    /// Makes the filters.
    pub fn new(device: &Device) -> Self {
        let frequencies = half_plane();
        let filters = |part: fn(f64) -> f64| frequencies.iter().flat_map(move |at| analysing_patch(*at, part));
        let values: Vec<f32> = filters(libm::cos).chain(filters(libm::sin)).collect();
        let shape = [2 * frequencies.len(), 1, PATCH, PATCH];
        let layer = Conv2dConfig::new([1, shape[0]], [PATCH; 2]).with_stride([STEP; 2]).with_bias(false).init(device);
        let weight = Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device));
        Self { analysis: Conv2d { weight, ..layer }.no_grad() }
    }

    /// # Shapes
    ///
    /// Two of `[batch, channel, height, width]` in −1…1 → `[batch]`
    pub fn distance(&self, made: Tensor<4>, original: Tensor<4>) -> Tensor<1> {
        let [batch, channels, height, width] = made.dims();
        // Channels are pictures of their own.
        let mut pair = [made, original].map(|picture| picture.reshape([batch * channels, 1, height, width]));
        let mut sum = self.at_one_scale(&pair);
        let mut scales = 1;
        while scales < SCALES && smaller_side(&pair[0]) >= 2 * PATCH {
            pair = pair.map(halved);
            sum = sum + self.at_one_scale(&pair);
            scales += 1;
        }
        let each = sum / scales as f64;
        each.reshape([batch, channels]).mean_dim(1).squeeze_dim::<1>(1)
    }

    fn at_one_scale(&self, pair: &[Tensor<4>; 2]) -> Tensor<1> {
        let mut sum = difference(pair.each_ref().map(|picture| slope(picture, 2)))
            + difference(pair.each_ref().map(|picture| slope(picture, 3)));
        if smaller_side(&pair[0]) >= PATCH {
            let magnitudes = pair.each_ref().map(|picture| self.magnitudes(picture));
            sum = sum + difference(magnitudes.clone()) + difference(magnitudes.map(Tensor::log));
        }
        sum
    }

    /// # Shapes
    ///
    /// `[batch, 1, height, width]` → `[batch, frequency, patch down, patch across]`
    fn magnitudes(&self, picture: &Tensor<4>) -> Tensor<4> {
        let spectrum = conv2d(&self.analysis, picture.clone());
        let frequencies = spectrum.dims()[1] / 2;
        let part = |start| spectrum.clone().narrow(1, start, frequencies).square();
        (part(0) + part(frequencies) + FLOOR * FLOOR).sqrt()
    }
}

/// Every frequency of a real patch once, without its mean: `[cycles down, cycles across]`.
fn half_plane() -> Vec<[usize; 2]> {
    let nyquist = PATCH / 2;
    let twin = |[down, across]: [usize; 2]| (across == 0 || across == nyquist) && down > nyquist;
    let all = (0..PATCH).flat_map(|down| (0..=nyquist).map(move |across| [down, across]));
    all.filter(|frequency| !twin(*frequency) && *frequency != [0, 0]).collect()
}

/// Real or imaginary part of one frequency under a Hann window. It gives nothing for a constant, and one of unit white
/// noise has a magnitude of about one.
fn analysing_patch([down, across]: [usize; 2], part: fn(f64) -> f64) -> Vec<f32> {
    let hann = |index: usize| 0.5 - 0.5 * libm::cos(TAU * index as f64 / PATCH as f64);
    let points = || (0..PATCH).flat_map(|row| (0..PATCH).map(move |column| (row, column)));
    let window: Vec<f64> = points().map(|(row, column)| hann(row) * hann(column)).collect();
    let wave: Vec<f64> =
        points().map(|(row, column)| part(TAU * (row * down + column * across) as f64 / PATCH as f64)).collect();
    let total: f64 = window.iter().sum();
    let mean = window.iter().zip(&wave).map(|(weight, value)| weight * value).sum::<f64>() / total;
    let energy = window.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
    window.iter().zip(&wave).map(|(weight, value)| (weight * (value - mean) / energy) as f32).collect()
}

/// The difference of neighbours along `dimension`.
fn slope(picture: &Tensor<4>, dimension: usize) -> Tensor<4> {
    let last = picture.dims()[dimension].saturating_sub(1);
    picture.clone().narrow(dimension, 1, last) - picture.clone().narrow(dimension, 0, last)
}

/// The mean absolute difference of each item.
fn difference([made, original]: [Tensor<4>; 2]) -> Tensor<1> {
    let [items, ..] = made.dims();
    (made - original).abs().reshape([items as i32, -1]).mean_dim(1).squeeze_dim::<1>(1)
}

fn halved(picture: Tensor<4>) -> Tensor<4> {
    avg_pool2d(picture, AvgPoolOptions::new([2, 2]))
}

fn smaller_side(picture: &Tensor<4>) -> usize {
    let [_, _, height, width] = picture.dims();
    height.min(width)
}
