//! `nocturne musicgen generate`: music from captions.

use crate::cli::output::counted;
use crate::cli::values::finite;
use crate::cli::{Failure, Global, Outcome, Output};
use crate::config::{Layers, write_resolved};
use crate::encodings::captions;
use crate::interrupt::stop_flag;
use crate::musicgen::{self, GenerateError, Job, Melody, Model, MusicgenExperiment, Prompt, Strategy};
use clap::Args;
use nocturne_vocoder::audio::Audio;
use serde_json::json;
use std::path::PathBuf;

/// The command's flags.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("captions").required(true).args(["prompts", "prompt"])))]
pub struct Generate {
    /// The model: a folder of transformers' or audiocraft's files, or its name on the hub
    #[arg(long, value_name = "DIR|NAME")]
    model: String,
    /// The T5 of an audiocraft model, in place of the one that it names
    #[arg(long, value_name = "DIR|NAME")]
    text_encoder: Option<String>,
    /// Captions by the names of their files: {"<id>.mp3": caption}, or columns such as id or ytid, and caption
    #[arg(long, value_name = "FILE.json|csv|parquet")]
    prompts: Option<PathBuf>,
    /// A caption; repeated, one a file
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// A sound file whose tune the music follows, for melody models; best without drums and bass
    #[arg(long, value_name = "FILE")]
    melody: Option<PathBuf>,
    /// Where the music goes
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,
    /// Seconds of each file
    #[arg(long, value_name = "SEC", value_parser = finite::<f64>)]
    duration: Option<f64>,
    /// How strongly to follow the caption; 1 is no guidance
    #[arg(long, alias = "cfg-coef", value_name = "X", value_parser = finite::<f64>)]
    guidance_scale: Option<f64>,
    /// Draw from so many of the best tokens; 0 for all
    #[arg(long, value_name = "N")]
    top_k: Option<usize>,
    /// Draw from the best tokens whose probabilities sum up to this
    #[arg(long, value_name = "P", value_parser = finite::<f64>)]
    top_p: Option<f64>,
    /// Divides the scores
    #[arg(long, value_name = "X", value_parser = finite::<f64>)]
    temperature: Option<f64>,
    /// Take the best token, always
    #[arg(long)]
    greedy: bool,
    /// Beyond 30 seconds, begin each window so many seconds after the one before it
    #[arg(long, value_name = "SEC", value_parser = finite::<f64>)]
    extend_stride: Option<f64>,
    /// How loud the files are
    #[arg(long, value_name = "NAME")]
    strategy: Option<Strategy>,
    /// Files that are made at once
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Write the codes beside the audio: .npy, int64 [codebook, frame]
    #[arg(long)]
    save_codes: bool,
}

impl Generate {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let layers = global
            .layers(Layers::default())?
            .flag("sampling.seed", global.seed)
            .flag("sampling.duration", self.duration)
            .flag("sampling.guidance_scale", self.guidance_scale)
            .flag("sampling.top_k", self.top_k)
            .flag("sampling.top_p", self.top_p)
            .flag("sampling.temperature", self.temperature)
            .flag("sampling.greedy", self.greedy.then_some(true))
            .flag("sampling.extend_stride", self.extend_stride)
            .flag("sampling.strategy", self.strategy)
            .flag("sampling.batch_size", self.batch_size);
        let mut experiment = layers.resolve(&MusicgenExperiment::default()).map_err(Failure::usage)?;
        experiment.sampling.validate().map_err(Failure::usage)?;
        let prompts = self.captions()?;
        let melody = self.melody.as_deref().map(Audio::decode).transpose().map_err(Failure::usage)?;
        let device = global.open_device()?;
        let folder = musicgen::resolve(&self.model)?;
        let model = Model::open(&folder, self.text_encoder.as_deref(), &device)?;
        let melody = melody.map(|audio| Melody::of(audio, &model)).transpose().map_err(Failure::usage)?;
        experiment.sampling.padding.get_or_insert(model.padding);
        let job = Job {
            model: &model,
            prompts: &prompts,
            melody: melody.as_ref(),
            settings: &experiment.sampling,
            output: &self.output_dir,
            save_codes: self.save_codes,
            stop: &stop_flag(),
        };
        let mut progress = output.progress();
        let mut started = false;
        let generated = musicgen::generate(&job, |done, total| {
            if !std::mem::replace(&mut started, true) {
                progress.start("seconds of music", total.ceil() as u64);
            }
            progress.at(done as u64, "");
        });
        progress.finish();
        let generated = match generated {
            Err(error @ (GenerateError::Settings(_) | GenerateError::Name { .. } | GenerateError::SameName { .. })) => {
                return Err(Failure::usage(error));
            }
            other => other.map_err(Failure::failed)?,
        };
        write_resolved(&self.output_dir, &experiment).map_err(Failure::failed)?;
        let (tokens, decoding) = (generated.tokens.as_secs_f64(), generated.decoding.as_secs_f64());
        let frames_per_second = if tokens > 0.0 { generated.frames as f64 / tokens } else { 0.0 };
        let object = json!({
            "output_dir": self.output_dir,
            "files": generated.made,
            "kept": generated.kept,
            "seconds": generated.seconds,
            "frames_per_second": frames_per_second,
            "token_seconds": tokens,
            "decoding_seconds": decoding,
            "interrupted": generated.interrupted,
        });
        let kept = if generated.kept > 0 { format!(", {} kept", generated.kept) } else { String::new() };
        let sentence = format!(
            "{} in {}{kept}; {:.1} s of music, {tokens:.1} s in the language model, {decoding:.1} s in the decoder",
            counted(generated.made as u64, "file"),
            self.output_dir.display(),
            generated.seconds,
        );
        output.result(&object, &sentence);
        Ok(if generated.interrupted { Outcome::Interrupted } else { Outcome::Done })
    }

    fn captions(&self) -> Result<Vec<Prompt>, Failure> {
        let Some(file) = &self.prompts else {
            let numbered = self.prompt.iter().enumerate();
            return Ok(numbered
                .map(|(index, text)| Prompt { id: format!("{index:06}"), text: text.clone() })
                .collect());
        };
        let captions = captions::read(file).map_err(Failure::usage)?;
        Ok(captions.into_iter().map(|(id, text)| Prompt { id, text }).collect())
    }
}
