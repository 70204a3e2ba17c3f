//! New mels from a model, in batches that do not change the result.

use super::{ModelFolder, SampleError, SamplingSettings};
use crate::encodings::Encoding;
use crate::train::conditions::Conditions;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array4, ArrayView4, s};
use nocturne_models::backbone::Backbone;
use nocturne_models::diffusion::{Denoiser, Guidance, NoiseSchedule, Sampler, sample};
use nocturne_models::random::Random;
use nocturne_models::vae::AutoencoderKl;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};

/// A model, and how to sample from it.
#[derive(Clone, Copy)]
pub struct Sampling<'a> {
    /// The model's settings.
    pub folder: &'a ModelFolder,
    /// What denoises.
    pub network: &'a Backbone,
    /// What turns latents into mels, where the network works on latents.
    pub vae: Option<&'a AutoencoderKl>,
    /// How to sample.
    pub settings: &'a SamplingSettings,
    /// Where the networks are.
    pub device: &'a Device,
    /// Setting it ends the sampling between two steps.
    pub stop: &'a AtomicBool,
}

/// What mels are to be like, and unlike.
#[derive(Clone, Copy)]
pub struct Guide<'a> {
    /// One for each mel.
    pub conditions: &'a [Encoding],
    /// What guidance leads away from; the null condition if absent.
    pub negative: Option<&'a Encoding>,
}

impl Sampling<'_> {
    /// Samples one mel for each `noise`, the first of them mel number `first`.
    ///
    /// The noise of every step comes from a stream of the mel's own, and on the CPU each mel goes through the network
    /// alone, because matrix kernels choose their order of summation by the batch: so a seed gives the same bytes in any
    /// batch. `on_step` is called after every step of every forward pass.
    ///
    /// # Shapes
    /// - `noise`: `[batch, channel, height, width]` of [`ModelFolder::sample_shape`]
    /// - output: `[batch, channel, mel, frame]`
    pub fn mels(
        &self,
        first: usize,
        noise: &Array4<f32>,
        guide: Option<Guide<'_>>,
        mut on_step: impl FnMut(),
    ) -> Result<Array4<f32>, SampleError> {
        let scheduler = &self.folder.scheduler;
        let schedule = NoiseSchedule::new(scheduler)?;
        let sampler = self.settings.sampler(scheduler, &schedule)?;
        let at_once = if *self.device == Device::flex() { 1 } else { self.settings.eval_batch_size.max(1) };
        let mut mels = Vec::new();
        for start in (0..noise.dim().0).step_by(at_once) {
            let end = noise.dim().0.min(start + at_once);
            let denoiser = Denoiser::new(self.network, &schedule, scheduler.prediction_type);
            let denoiser = match guide {
                Some(guide) => self.guided(denoiser, guide, start..end)?,
                None => denoiser,
            };
            let part = noise.slice(s![start..end, .., .., ..]);
            let sampled = self.part(&sampler, &denoiser, first + start, part, &mut on_step)?;
            mels.push(self.decoded(sampled, first + start)?);
        }
        let views: Vec<ArrayView4<f32>> = mels.iter().map(|mels| mels.view()).collect();
        ndarray::concatenate(ndarray::Axis(0), &views).map_err(|error| SampleError::Device(error.to_string()))
    }

    /// A denoiser of these items, led to what they are to be like.
    fn guided<'n>(
        &self,
        denoiser: Denoiser<'n, Backbone>,
        guide: Guide<'_>,
        items: Range<usize>,
    ) -> Result<Denoiser<'n, Backbone>, SampleError> {
        let width = self.folder.network.condition_width().unwrap_or(0);
        let upload = |encodings: &[Option<&Encoding>]| Conditions::new(encodings, width).upload(self.device);
        let encodings: Vec<Option<&Encoding>> = guide.conditions[items].iter().map(Some).collect();
        let denoiser = denoiser.conditioned(Some(upload(&encodings)));
        let &SamplingSettings { guidance_scale: scale, guidance_rescale: rescale, guidance_interval: interval, .. } =
            self.settings;
        if scale == 1.0 {
            return Ok(denoiser);
        }
        let negative = upload(&vec![guide.negative; encodings.len()]);
        Ok(denoiser.guided(Guidance { scale, rescale, interval, negative })?)
    }

    /// Samples what goes through the network together.
    fn part(
        &self,
        sampler: &Sampler,
        denoiser: &Denoiser<'_, Backbone>,
        first: usize,
        noise: ArrayView4<f32>,
        on_step: &mut impl FnMut(),
    ) -> Result<Tensor<4>, SampleError> {
        let shape: [usize; 4] = noise.dim().into();
        let size = shape[1..].iter().product();
        let upload = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, shape), self.device);
        let mut streams: Vec<Random> =
            (0..shape[0]).map(|item| Random::new(self.settings.seed, "step noise", (first + item) as u64)).collect();
        let step_noise = |_| upload(streams.iter_mut().flat_map(|stream| stream.normal(size)).collect());
        let sampled = sample(sampler, denoiser, upload(noise.iter().copied().collect()), step_noise, |_, _| {
            on_step();
            if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        sampled.ok_or(SampleError::Interrupted)
    }

    /// Mels on the host, through the VAE where there is one.
    fn decoded(&self, sampled: Tensor<4>, first: usize) -> Result<Array4<f32>, SampleError> {
        let mels = match (self.vae, &self.folder.vae) {
            (Some(vae), Some(config)) => vae.decode(sampled / config.scaling_factor),
            _ => sampled,
        };
        let [batch, channels, bands, frames] = mels.dims();
        let values = mels.into_data().try_to_vec::<f32>().map_err(|error| SampleError::Device(format!("{error:?}")))?;
        if let Some(broken) = values.iter().position(|value| !value.is_finite()) {
            return Err(SampleError::NotFinite { index: first + broken / (channels * bands * frames) });
        }
        Array4::from_shape_vec((batch, channels, bands, frames), values)
            .map_err(|error| SampleError::Device(error.to_string()))
    }
}
