use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nocturne_models::files::write_atomic;
use nocturne_models::musicgen::{GenerationError, Padding};
use nocturne_vocoder::audio::AudioError;
use serde_json::{Value, json};
use thiserror::Error;

use super::file_names::file_names;
use super::melody::{Melody, Window};
use super::windows::in_windows;
use super::{Model, MusicgenSampling, SettingsError};
use crate::encodings::TextError;
use crate::npy::{self, NpyError};

/// The list of what was made.
const MANIFEST: &str = "manifest.jsonl";

/// A caption, and the name of what is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The file's name, with or without an extension.
    pub id: String,
    /// The caption.
    pub text: String,
}

/// Why nothing was made.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An id is no name of a file.
    #[error("the id {id:?} cannot be the name of a file")]
    Name {
        /// The id.
        id: String,
    },
    /// Two ids would be one file.
    #[error("{first:?} and {second:?} would both become `{name}`")]
    SameName {
        /// An id.
        first: String,
        /// Another one.
        second: String,
        /// What they would become.
        name: String,
    },
    /// A caption cannot be encoded.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The model gives no tokens.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// A sound cannot be written.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// Codes cannot be written.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// The file system refused.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What to make, and where.
pub struct Job<'a> {
    /// The model.
    pub model: &'a Model,
    /// What it is asked for.
    pub prompts: &'a [Prompt],
    /// A tune that all of it follows, for models that hear one.
    pub melody: Option<&'a Melody>,
    /// How.
    pub settings: &'a MusicgenSampling,
    /// Where the files go.
    pub output: &'a Path,
    /// Whether codes are written beside the audio, `.npy` int64 `[codebook, frame]`.
    pub save_codes: bool,
    /// Setting it ends the job; what is made by then is written.
    pub stop: &'a AtomicBool,
}

/// What was made.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    /// Files.
    pub made: usize,
    /// Files of an earlier run of the same job, which were left as they are.
    pub kept: usize,
    /// Seconds of music.
    pub seconds: f64,
    /// Steps of the language model, and their time.
    pub frames: usize,
    /// Time in the language model.
    pub tokens: Duration,
    /// Time in the decoder.
    pub decoding: Duration,
    /// Whether it was ended early.
    pub interrupted: bool,
}

/// Makes the music of every prompt, batch after batch. A file that an earlier run of the same job made is kept, so that a job that
/// was interrupted goes on with the same command. `on_progress(done, total)` counts seconds of music.
pub fn generate(job: &Job, mut on_progress: impl FnMut(f64, f64)) -> Result<Generated, GenerateError> {
    let Job { model, prompts, settings, output, .. } = job;
    settings.validate()?;
    if settings.duration > model.window && settings.extend_stride >= model.window {
        let (field, found) = ("extend_stride", settings.extend_stride.to_string());
        return Err(SettingsError { field, found, expected: "less than the model was trained on" }.into());
    }
    let names = file_names(prompts)?;
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| GenerateError::Write { path, source }
    };
    std::fs::create_dir_all(output).map_err(write(output))?;
    let manifest = output.join(MANIFEST);
    let earlier = read_manifest(&manifest);
    let mut lines: BTreeMap<usize, Value> = BTreeMap::new();
    let mut wanted = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let line = job.line(index, name);
        if earlier.contains(&line)
            && output.join(name).is_file()
            && (!job.save_codes || codes_path(output, name).is_file())
        {
            lines.insert(index, line);
        } else {
            wanted.push(index);
        }
    }
    let mut generated = Generated { kept: lines.len(), ..Generated::default() };
    let (frame_rate, total) = (model.config.audio_encoder.frame_rate() as f64, wanted.len() as f64 * settings.duration);
    for (batch, indices) in wanted.chunks(settings.batch_size).enumerate() {
        let done = batch as f64 * settings.batch_size as f64 * settings.duration;
        let texts: Vec<&str> = indices.iter().map(|index| prompts[*index].text.as_str()).collect();
        let (captions, cut) = model.captions(&texts)?;
        let condition = |start| model.condition(&captions, job.melody, job.window(start), job.padding());
        for (index, cut) in indices.iter().zip(cut) {
            let Prompt { id, text } = &prompts[*index];
            if cut {
                tracing::warn!("the caption of {id:?} is longer than the text encoder takes, and was cut");
            }
            if text.is_empty() {
                tracing::warn!("the caption of {id:?} is empty: nothing guides it");
            }
        }
        let seeds: Vec<u64> = indices.iter().map(|index| job.seed(*index)).collect();
        let started = Instant::now();
        let codes = in_windows(model, condition, settings, &seeds, |frame| {
            generated.frames += 1;
            on_progress(done + (frame + 1) as f64 / frame_rate * indices.len() as f64, total);
            if job.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        generated.tokens += started.elapsed();
        let whole = codes.first().is_some_and(|codes| codes[0].len() == model.frames(settings.duration));
        for (index, codes) in indices.iter().zip(&codes) {
            let started = Instant::now();
            let mut audio = model.audio(codes);
            generated.decoding += started.elapsed();
            settings.strategy.apply(&mut audio);
            audio.write(&output.join(&names[*index]))?;
            if job.save_codes {
                let values: Vec<i64> = codes.iter().flatten().map(|code| *code as i64).collect();
                npy::write(&codes_path(output, &names[*index]), &[codes.len(), codes[0].len()], &values)?;
            }
            generated.made += 1;
            generated.seconds += audio.seconds();
            // What was cut short is not listed: the next run makes it whole.
            if whole {
                lines.insert(*index, job.line(*index, &names[*index]));
            }
        }
        let text: Vec<String> = lines.values().map(Value::to_string).chain([String::new()]).collect();
        write_atomic(&manifest, text.join("\n").as_bytes()).map_err(write(&manifest))?;
        if job.stop.load(Ordering::Relaxed) {
            generated.interrupted = true;
            break;
        }
    }
    Ok(generated)
}

impl Job<'_> {
    fn seed(&self, index: usize) -> u64 {
        self.settings.seed.wrapping_add(index as u64)
    }

    fn padding(&self) -> Padding {
        self.settings.padding.unwrap_or(self.model.padding)
    }

    /// The part of the melody for what begins at a frame.
    fn window(&self, start: usize) -> Window {
        let (model, settings) = (self.model, self.settings);
        let start = start as f64 / model.config.audio_encoder.frame_rate() as f64;
        if settings.duration > model.window { Window::Periodic { start, seconds: model.window } } else { Window::Whole }
    }

    /// What made a file, and so whether it is to be made again.
    fn line(&self, index: usize, name: &str) -> Value {
        let MusicgenSampling {
            duration,
            guidance_scale,
            top_k,
            top_p,
            temperature,
            greedy,
            extend_stride,
            strategy,
            ..
        } = self.settings;
        let mut line = json!({
            "file": name,
            "id": self.prompts[index].id,
            "caption": self.prompts[index].text,
            "seed": self.seed(index),
            "duration": duration,
            "guidance_scale": guidance_scale,
            "top_k": top_k,
            "top_p": top_p,
            "temperature": temperature,
            "greedy": greedy,
            "extend_stride": extend_stride,
            "padding": self.padding(),
            "strategy": strategy,
            "model": self.model.config,
        });
        if let Some(melody) = self.melody {
            line["melody"] = melody.digest().into();
        }
        line
    }
}

fn codes_path(output: &Path, name: &str) -> PathBuf {
    output.join(name).with_extension("npy")
}

/// The lines of an earlier run; none where it cannot be read.
fn read_manifest(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
