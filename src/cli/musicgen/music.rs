//! What the commands that make music have in common.

use crate::cli::output::counted;
use crate::cli::values::finite;
use crate::cli::{Failure, Global, Outcome, Output};
use crate::config::{Layers, write_resolved, write_resolved_as};
use crate::encodings::captions;
use crate::interrupt::stop_flag;
use crate::musicgen::{
    self, Beginning, Files, GenerateError, Generated, Job, Melody, Model, MusicgenExperiment, Precision, Prompt,
    Strategy, Target,
};
use clap::{ArgGroup, Args};
use nocturne_vocoder::audio::Audio;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The flags.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("captions").args(["prompts", "prompt"])))]
#[command(group(ArgGroup::new("place").required(true).args(["output_dir", "stream"])))]
pub struct Music {
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
    output_dir: Option<PathBuf>,
    /// Write one piece while it is made, WAV: into a file that grows, or - for standard output
    #[arg(long, value_name = "FILE.wav|-", conflicts_with_all = ["save_codes", "zip", "batch_size"])]
    stream: Option<PathBuf>,
    /// Seconds of each file
    #[arg(long, value_name = "SEC", value_parser = finite::<f64>)]
    duration: Option<f64>,
    /// How strongly to follow the caption; 1 is no guidance
    #[arg(long, alias = "cfg-coef", value_name = "X", value_parser = finite::<f64>)]
    guidance_scale: Option<f64>,
    /// Guide in two passes: slower, with the same results
    #[arg(long)]
    two_step_cfg: bool,
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
    /// How the language model's weights are held, on the CPU: the fewer bytes, the faster, and the less exact
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
    /// How loud the files are; what is streamed is only clipped
    #[arg(long, value_name = "NAME")]
    strategy: Option<Strategy>,
    /// Files that are made at once
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Write the codes beside the audio: .npy, int64 [codebook, frame]
    #[arg(long)]
    save_codes: bool,
    /// All audio in one file as well, in the order of the captions
    #[arg(long, value_name = "FILE.zip")]
    zip: Option<PathBuf>,
}

/// Where the music goes.
enum Place<'a> {
    Folder(&'a Path),
    /// As it was named, and what that is.
    Stream(&'a Path, Target),
}

impl Music {
    /// Makes the music, of what begins with `recording` where there is one.
    pub(super) fn run(self, recording: Option<Audio>, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let experiment = self.experiment(global)?;
        let prompts = self.captions(recording.is_some())?;
        let melody = self.melody.as_deref().map(Audio::decode).transpose().map_err(Failure::usage)?;
        let device = global.open_device()?;
        let folder = musicgen::resolve(&self.model)?;
        let captions: Vec<&str> = prompts.iter().map(|prompt| prompt.text.as_str()).collect();
        let (encoder, precision) = (self.text_encoder.as_deref(), experiment.sampling.precision);
        let mut model = Model::open_for(&folder, encoder, precision, &captions, &device)?;
        let melody = melody.map(|audio| Melody::of(audio, &model)).transpose().map_err(Failure::usage)?;
        let beginning = recording.map(|recording| Beginning::of(&model, recording));
        self.make(experiment, &mut model, &prompts, (melody.as_ref(), beginning.as_ref()), output)
    }

    fn make(
        &self,
        mut experiment: MusicgenExperiment,
        model: &mut Model,
        prompts: &[Prompt],
        (melody, beginning): (Option<&Melody>, Option<&Beginning>),
        output: &Output,
    ) -> Result<Outcome, Failure> {
        experiment.sampling.padding.get_or_insert(model.padding);
        let stop = stop_flag();
        let mut job =
            Job { model, last: true, prompts, melody, beginning, settings: &experiment.sampling, stop: &stop };
        let mut progress = output.progress();
        let mut started = false;
        let on_progress = |done: f64, total: f64| {
            if !std::mem::replace(&mut started, true) {
                progress.start("seconds of music", total.ceil() as u64);
            }
            progress.at(done as u64, "");
        };
        let place = self.place()?;
        let generated = match &place {
            Place::Folder(folder) => {
                let files = Files { folder, save_codes: self.save_codes, zip: self.zip.as_deref() };
                musicgen::generate(&mut job, files, on_progress)
            }
            Place::Stream(_, target) => musicgen::stream(&mut job, target, on_progress),
        };
        progress.finish();
        let generated = generated.map_err(failure)?;
        let resolved = match &place {
            Place::Folder(folder) => write_resolved(folder, &experiment),
            Place::Stream(_, Target::File(path)) => write_resolved_as(&path.with_extension("yaml"), &experiment),
            Place::Stream(_, Target::Output) => Ok(()),
        };
        resolved.map_err(Failure::failed)?;
        let (object, sentence) = match &place {
            Place::Folder(folder) => self.of_files(folder, &generated),
            Place::Stream(stream, _) => of_stream(stream, &generated),
        };
        let output = if let Place::Stream(_, Target::Output) = place { &output.aside() } else { output };
        output.result(&object, &sentence);
        Ok(if generated.interrupted { Outcome::Interrupted } else { Outcome::Done })
    }

    /// Where the music goes; clap sees to it that there is one place.
    fn place(&self) -> Result<Place<'_>, Failure> {
        match (&self.stream, &self.output_dir) {
            (Some(stream), _) => Ok(Place::Stream(stream, Target::of(stream))),
            (None, Some(folder)) => Ok(Place::Folder(folder)),
            (None, None) => Err(Failure::arguments("expected --output-dir or --stream")),
        }
    }

    fn experiment(&self, global: &Global) -> Result<MusicgenExperiment, Failure> {
        let layers = global
            .layers(Layers::default())?
            .flag("sampling.seed", global.seed)
            .flag("sampling.duration", self.duration)
            .flag("sampling.guidance_scale", self.guidance_scale)
            .flag("sampling.two_step_cfg", self.two_step_cfg.then_some(true))
            .flag("sampling.top_k", self.top_k)
            .flag("sampling.top_p", self.top_p)
            .flag("sampling.temperature", self.temperature)
            .flag("sampling.greedy", self.greedy.then_some(true))
            .flag("sampling.extend_stride", self.extend_stride)
            .flag("sampling.precision", self.precision)
            .flag("sampling.strategy", self.strategy)
            .flag("sampling.batch_size", self.batch_size);
        let mut defaults = MusicgenExperiment::default();
        if self.stream.is_some() {
            defaults.sampling.strategy = Strategy::Clip;
        }
        let experiment = layers.resolve(&defaults).map_err(Failure::usage)?;
        experiment.sampling.validate().map_err(Failure::usage)?;
        Ok(experiment)
    }

    /// Captions by the names of their files. What goes on from a recording needs none.
    fn captions(&self, continues: bool) -> Result<Vec<Prompt>, Failure> {
        if let Some(file) = &self.prompts {
            let captions = captions::read(file).map_err(Failure::usage)?;
            return Ok(captions.into_iter().map(|(id, text)| Prompt { id, text }).collect());
        }
        let none = continues && self.prompt.is_empty();
        let texts = if none { vec![String::new()] } else { self.prompt.clone() };
        Ok(texts.into_iter().enumerate().map(|(index, text)| Prompt { id: format!("{index:06}"), text }).collect())
    }

    fn of_files(&self, folder: &Path, generated: &Generated) -> (Value, String) {
        let mut object = timings(generated);
        object["output_dir"] = json!(folder);
        object["files"] = json!(generated.made);
        object["kept"] = json!(generated.kept);
        if let Some(zip) = &self.zip {
            object["zip"] = json!(zip);
        }
        let kept = if generated.kept > 0 { format!(", {} kept", generated.kept) } else { String::new() };
        let files = counted(generated.made as u64, "file");
        (object, format!("{files} in {}{kept}; {}", folder.display(), times(generated)))
    }
}

fn of_stream(path: &Path, generated: &Generated) -> (Value, String) {
    let first = generated.first_audio.unwrap_or_default().as_secs_f64();
    let mut object = timings(generated);
    object["stream"] = json!(path);
    object["seconds_to_first_audio"] = json!(first);
    (object, format!("streamed; {first:.2} s to the first audio, {}", times(generated)))
}

fn timings(generated: &Generated) -> Value {
    let tokens = generated.tokens.as_secs_f64();
    json!({
        "seconds": generated.seconds,
        "frames_per_second": if tokens > 0.0 { generated.frames as f64 / tokens } else { 0.0 },
        "token_seconds": tokens,
        "decoding_seconds": generated.decoding.as_secs_f64(),
        "interrupted": generated.interrupted,
    })
}

fn times(generated: &Generated) -> String {
    let (tokens, decoding) = (generated.tokens.as_secs_f64(), generated.decoding.as_secs_f64());
    format!("{:.1} s of music, {tokens:.1} s in the language model, {decoding:.1} s in the codec", generated.seconds)
}

fn failure(error: GenerateError) -> Failure {
    match error {
        GenerateError::TooLong { .. } => {
            Failure::usage(error).remedy("`--prompt-start` and `--prompt-duration` take a part of the recording")
        }
        GenerateError::Settings(_)
        | GenerateError::Name { .. }
        | GenerateError::SameName { .. }
        | GenerateError::OnePiece { .. }
        | GenerateError::NotWav { .. }
        | GenerateError::Terminal => Failure::usage(error),
        error => Failure::failed(error),
    }
}
