//! `nocturne generate`: new mels, pictures and audio of a trained model.

use super::output::counted;
use super::values::finite;
use super::vocode::chosen_vocoder;
use super::{Failure, Global, Outcome, Output};
use crate::config::{Experiment, write_resolved};
use crate::encodings::{Encoding, Encodings, TextEncoder, TextError};
use crate::interrupt::stop_flag;
use crate::npy;
use crate::pipeline::{self, GenerateError, Generation, ModelFolder, SampleError, SamplingSettings, Scheduler};
use crate::vocoding::VocoderKind;
use burn::tensor::Device;
use clap::Args;
use ndarray::Array4;
use nocturne_models::backbone::BackboneKind;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The command's flags.
#[derive(Debug, Args)]
pub struct Generate {
    /// The model folder
    #[arg(long, alias = "pretrained-model-path", value_name = "DIR")]
    model: PathBuf,
    /// Where mels, pictures and audio go
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,
    /// How many clips
    #[arg(long, value_name = "N")]
    num_images: Option<usize>,
    /// Steps from noise to mel
    #[arg(long, value_name = "N")]
    num_inference_steps: Option<usize>,
    /// Which equations
    #[arg(long, value_name = "NAME")]
    scheduler: Option<Scheduler>,
    /// DDIM's noise: 0 is deterministic, 1 as much as DDPM
    #[arg(long, value_name = "ETA", value_parser = finite::<f64>)]
    eta: Option<f64>,
    /// Clips a forward pass on a GPU
    #[arg(long, alias = "batch-size", value_name = "N")]
    eval_batch_size: Option<usize>,
    /// Griffin-Lim iterations; the model's own number if not given
    #[arg(long, value_name = "N")]
    n_iter: Option<usize>,
    /// From mels to audio
    #[arg(long, value_name = "NAME")]
    vocoder: Option<VocoderKind>,
    /// BigVGAN's folder, or its name on the hub; the one that the model's mels name if not given
    #[arg(long, value_name = "DIR|NAME")]
    vocoder_checkpoint: Option<String>,
    /// Start from this float32 [N, channel, mel, frame] array instead of the seed's noise
    #[arg(long, value_name = "FILE.npy")]
    noise: Option<PathBuf>,
    /// Condition on these encodings, one a clip in their order: what `encode` writes, or a published pickle
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    encodings: Option<PathBuf>,
    /// Condition on this text; repeated, one a clip
    #[arg(long, value_name = "TEXT", requires = "text_encoder")]
    prompt: Vec<String>,
    /// What guidance leads away from
    #[arg(long, value_name = "TEXT", requires = "text_encoder")]
    negative_prompt: Option<String>,
    /// The T5 folder that the training captions were encoded with
    #[arg(long, value_name = "DIR")]
    text_encoder: Option<PathBuf>,
    /// How strongly to follow the condition; 1 is no guidance
    #[arg(long, value_name = "X", value_parser = finite::<f64>)]
    guidance_scale: Option<f64>,
}

impl Generate {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let experiment: Experiment = global.resolve(BackboneKind::UNet2D, |layers| {
            layers
                .flag("sampling.seed", global.seed)
                .flag("sampling.num_images", self.num_images)
                .flag("sampling.num_inference_steps", self.num_inference_steps)
                .flag("sampling.scheduler", self.scheduler)
                .flag("sampling.eta", self.eta)
                .flag("sampling.eval_batch_size", self.eval_batch_size)
                .flag("sampling.n_iter", self.n_iter)
                .flag("sampling.vocoder", self.vocoder)
                .flag("sampling.vocoder_checkpoint", self.vocoder_checkpoint.as_deref())
                .flag("sampling.guidance_scale", self.guidance_scale)
        })?;
        if experiment.sampling.num_images == 0 {
            return Err(Failure::arguments("`--num-images` is 0, expected 1 or more"));
        }
        // DDPM is what DDIM becomes with 1.
        let without_eta = match experiment.sampling.scheduler {
            None | Some(Scheduler::Ddim) => false,
            Some(Scheduler::Ddpm) => self.eta.is_some_and(|eta| eta != 1.0),
            _ => self.eta.is_some(),
        };
        if without_eta {
            return Err(Failure::arguments("`--eta` is DDIM's alone").remedy("`--scheduler ddim`, or no `--eta`"));
        }
        let noise = self.noise.as_deref().map(read_noise).transpose()?;
        if let (Some(noise), Some(asked)) = (&noise, self.num_images)
            && noise.dim().0 != asked
        {
            let found = noise.dim().0;
            return Err(Failure::arguments(format!("`--noise` holds {found} items, `--num-images` asks for {asked}")));
        }
        let device = global.open_device()?;
        let (folder, networks) = ModelFolder::open(&self.model, &device)?;
        let (conditions, negative) = self.conditions(&experiment.sampling, &device)?;
        let vocoder = chosen_vocoder(&experiment.sampling, folder.mel.bigvgan_model.as_deref(), &device)?;
        let mut progress = output.progress();
        let mut started = false;
        let job = Generation {
            folder: &folder,
            networks: &networks,
            settings: &experiment.sampling,
            noise,
            conditions,
            negative,
            vocoder: &vocoder,
            device: &device,
            output: &self.output_dir,
            stop: &stop_flag(),
        };
        let generated = pipeline::generate(job, |done, total| {
            if !started {
                progress.start("steps", total);
                started = true;
            }
            progress.at(done, "");
        });
        progress.finish();
        let generated = match generated {
            Err(GenerateError::Sample(SampleError::Interrupted)) => {
                tracing::warn!("interrupted; finished clips stay in {}", self.output_dir.display());
                return Ok(Outcome::Interrupted);
            }
            Err(error @ GenerateError::NoCondition) => {
                return Err(Failure::usage(error).remedy("`--prompt` with `--text-encoder`, or `--encodings`"));
            }
            Err(
                error @ (GenerateError::Noise { .. }
                | GenerateError::Unfit(_)
                | GenerateError::Unconditional
                | GenerateError::Guidance { .. }
                | GenerateError::ConditionWidth { .. }
                | GenerateError::Sample(SampleError::Sampler(_))),
            ) => {
                return Err(Failure::usage(error));
            }
            other => other.map_err(Failure::failed)?,
        };
        let stale = stale(&self.output_dir.join("audio"), generated.clips.len());
        if stale > 0 {
            tracing::warn!("{} holds {stale} more clips, of an earlier run", self.output_dir.display());
        }
        // The model is what its folder says, whatever the defaults are.
        let resolved = Experiment {
            data: experiment.data.with_mel(&folder.mel),
            model: folder.network.clone(),
            scheduler: folder.scheduler.clone(),
            ..experiment
        };
        write_resolved(&self.output_dir, &resolved).map_err(Failure::failed)?;
        let (sampling, vocoder) = (generated.sampling.as_secs_f64(), generated.vocoder.as_secs_f64());
        let object = json!({
            "output_dir": self.output_dir,
            "clips": generated.clips.len(),
            "seconds": generated.clips.iter().map(|clip| clip.seconds).sum::<f64>(),
            "sampling_seconds": sampling,
            "vocoder_seconds": vocoder,
        });
        let sentence = format!(
            "{} in {}; {sampling:.1} s in the network, {vocoder:.1} s in the vocoder",
            counted(generated.clips.len() as u64, "clip"),
            self.output_dir.display(),
        );
        output.result(&object, &sentence);
        Ok(Outcome::Done)
    }
}

/// What clips are to be like, by name, and what guidance leads away from.
type Conditions = (Option<Vec<(String, Encoding)>>, Option<Encoding>);

impl Generate {
    fn conditions(&self, settings: &SamplingSettings, device: &Device) -> Result<Conditions, Failure> {
        if self.negative_prompt.is_some() && settings.guidance_scale == 1.0 {
            return Err(Failure::arguments("`--negative-prompt` does nothing without guidance")
                .remedy("`--guidance-scale` above 1"));
        }
        let encoder = self.text_encoder.as_deref().map(|path| TextEncoder::open(path, None, device)).transpose();
        let encoder = encoder.map_err(Failure::usage)?;
        // Nothing to encode without an encoder: clap asks for it beside a prompt.
        let encode = |texts: &[String]| -> Result<Vec<Encoding>, Failure> {
            let encoded = encoder.iter().flat_map(|encoder| texts.iter().map(|text| Ok(encoder.encode(text)?.0)));
            encoded.collect::<Result<_, TextError>>().map_err(Failure::failed)
        };
        let negative = encode(self.negative_prompt.as_slice())?.pop();
        if let Some(path) = &self.encodings {
            let encodings = Encodings::open(path).map_err(Failure::usage)?;
            let named = encodings.ids().filter_map(|id| Some((id.to_owned(), encodings.get(id)?.clone())));
            return Ok((Some(named.collect()), negative));
        }
        let encoded = encode(&self.prompt)?;
        let named = self.prompt.iter().cloned().zip(encoded).collect::<Vec<_>>();
        Ok(((!named.is_empty()).then_some(named), negative))
    }
}

/// Clips in a folder whose number is `count` or more.
fn stale(audio: &Path, count: usize) -> usize {
    let names = std::fs::read_dir(audio).into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: PathBuf| path.file_stem()?.to_str()?.parse::<usize>().ok();
    names.filter_map(number).filter(|number| *number >= count).count()
}

fn read_noise(path: &Path) -> Result<Array4<f32>, Failure> {
    let npy::Array { shape, values } = npy::read::<f32>(path).map_err(Failure::usage)?;
    let wrong =
        || Failure::arguments(format!("`{}` has shape {shape:?}, expected [N, channel, mel, frame]", path.display()));
    let &[items, channels, bands, frames] = shape.as_slice() else { return Err(wrong()) };
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Failure::arguments(format!("`{}` holds values that are not finite", path.display())));
    }
    Array4::from_shape_vec((items, channels, bands, frames), values).map_err(|_| wrong())
}
