use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use nocturne_vocoder::audio::Audio;
use serde_json::json;

use super::file_names::{FileNames, file_names};
use super::manifest::{self, Manifest};
use super::model::Samples;
use super::pieces::make;
use super::windows::Batch;
use super::{GenerateError, Generated, Job, MusicgenSampling, zip};
use crate::npy;

/// Where the files of a job go.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// Their folder.
    pub folder: &'a Path,
    /// Whether codes are written beside the audio, `.npy` int64 `[codebook, frame]`.
    pub save_codes: bool,
    /// All audio in one file, once it is made.
    pub zip: Option<&'a Path>,
}

/// Makes the music of every prompt, batch after batch. A file that an earlier run of the same job made is kept, so that a job that
/// was interrupted goes on with the same command. `on_progress(done, total)` counts seconds of music.
pub fn generate(
    job: &mut Job,
    files: Files,
    mut on_progress: impl FnMut(f64, f64),
) -> Result<Generated, GenerateError> {
    job.check()?;
    let settings = job.settings;
    let names = file_names(job.prompts, files.save_codes)?;
    let at = |name: &str| files.folder.join(name);
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| GenerateError::Write { path, source }
    };
    std::fs::create_dir_all(files.folder).map_err(write(files.folder))?;
    let manifest_path = manifest::path(files.folder);
    let (earlier, lines) = (manifest::earlier(&manifest_path), job.lines(&names)?);
    let mut kept: BTreeMap<usize, String> = BTreeMap::new();
    let mut wanted = Vec::new();
    for (index, (FileNames { audio, codes }, line)) in names.iter().zip(&lines).enumerate() {
        let is_there = |name: &String| at(name).is_file();
        if earlier.contains(line) && is_there(audio) && codes.as_ref().is_none_or(is_there) {
            kept.insert(index, line.clone());
        } else {
            wanted.push(index);
        }
    }
    let mut generated = Generated { kept: kept.len(), ..Generated::default() };
    let mut manifest = Manifest::begin(&manifest_path, kept).map_err(write(&manifest_path))?;
    let (config, beginning) = (&job.model.config, job.beginning());
    let codec = &config.audio_encoder;
    let (frame_rate, total) = (codec.frame_rate() as f64, wanted.len() as f64 * settings.duration);
    let channels = vec![Vec::new(); config.decoder.audio_channels];
    let silence = Audio { sample_rate: codec.sampling_rate, channels };
    let batches = wanted.chunks(settings.batch_size);
    let last = batches.len().saturating_sub(1);
    for (batch, indices) in batches.enumerate() {
        let done = batch as f64 * settings.batch_size as f64 * settings.duration;
        let captions = job.captions(indices, batch == last)?;
        let job = &*job;
        let seeds: Vec<u64> = indices.iter().map(|index| job.seed(*index)).collect();
        let batch = Batch { job, captions: &captions, seeds: &seeds, beginning: &beginning };
        let mut music = vec![silence.clone(); indices.len()];
        let made = make(
            &batch,
            |frame| {
                generated.frames += 1;
                on_progress(done + (frame + 1) as f64 / frame_rate * indices.len() as f64, total);
                if job.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
            |Samples(items)| {
                for (audio, more) in music.iter_mut().zip(items) {
                    audio.channels.iter_mut().zip(more).for_each(|(channel, more)| channel.extend(more));
                }
                Ok::<(), GenerateError>(())
            },
        )?;
        generated.tokens += made.tokens;
        generated.decoding += made.decoding;
        for ((index, codes), mut audio) in indices.iter().zip(&made.codes).zip(music) {
            settings.strategy.apply(&mut audio);
            let FileNames { audio: audio_name, codes: codes_name } = &names[*index];
            audio.write(&at(audio_name))?;
            if let Some(name) = codes_name {
                let values: Vec<i64> = codes.iter().flatten().map(|code| *code as i64).collect();
                npy::write(&at(name), &[codes.len(), codes[0].len()], &values)?;
            }
            generated.made += 1;
            generated.seconds += audio.seconds();
            // What was cut short is not listed: the next run makes it whole.
            if codes[0].len() == job.model.frames(settings.duration) {
                manifest.add(*index, lines[*index].clone()).map_err(write(&manifest_path))?;
            }
        }
        if job.is_stopped() {
            generated.interrupted = true;
            break;
        }
    }
    manifest.finish().map_err(write(&manifest_path))?;
    if let Some(path) = files.zip
        && !generated.interrupted
    {
        let names: Vec<&str> = names.iter().map(|names| names.audio.as_str()).collect();
        zip::write(path, files.folder, &names).map_err(write(path))?;
    }
    Ok(generated)
}

impl Job<'_> {
    /// For each prompt what makes its file, and so whether it is to be made again.
    fn lines(&self, names: &[FileNames]) -> Result<Vec<String>, GenerateError> {
        let MusicgenSampling {
            duration,
            guidance_scale,
            top_k,
            top_p,
            temperature,
            greedy,
            extend_stride,
            precision,
            strategy,
            ..
        } = self.settings;
        let mut line = json!({
            "duration": duration,
            "guidance_scale": guidance_scale,
            "top_k": top_k,
            "top_p": top_p,
            "temperature": temperature,
            "greedy": greedy,
            "extend_stride": extend_stride,
            "padding": self.padding(),
            "precision": precision,
            "strategy": strategy,
            "model_sha256": self.model.hash()?,
        });
        if let Some(beginning) = self.beginning {
            line["beginning_sha256"] = json!(beginning.hash());
        }
        if let Some(melody) = self.melody {
            line["melody_sha256"] = json!(melody.hash());
        }
        let of_one = names.iter().zip(self.prompts).enumerate().map(|(index, (FileNames { audio, .. }, prompt))| {
            line["file"] = json!(audio);
            line["id"] = json!(prompt.id);
            line["caption"] = json!(prompt.text);
            line["seed"] = json!(self.seed(index));
            line.to_string()
        });
        Ok(of_one.collect())
    }
}
