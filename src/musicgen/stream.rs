//! Music that is written, and can be heard, while it is made.

use std::fs::File;
use std::io::{self, IsTerminal, Seek, SeekFrom, Stdout, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nocturne_vocoder::audio::WavStream;
use serde_json::json;

use super::model::Samples;
use super::pieces::make;
use super::windows::Batch;
use super::{GenerateError, Generated, Job, SettingsError, Strategy};

/// Where audio goes while it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the program that this one's standard output goes to.
    Output,
    /// Into a file that grows under its own name, or a pipe with a name.
    File(PathBuf),
}

impl Target {
    /// `-`, or a file.
    pub fn of(text: &Path) -> Self {
        if text == Path::new("-") { Self::Output } else { Self::File(text.to_owned()) }
    }

    fn open(&self) -> Result<Sink, GenerateError> {
        match self {
            Self::Output if io::stdout().is_terminal() => Err(GenerateError::Terminal),
            Self::Output => Ok(Sink::Output(io::stdout())),
            Self::File(path) => Ok(Sink::File(File::create(path).map_err(|source| self.fault(source))?)),
        }
    }

    fn fault(&self, source: io::Error) -> GenerateError {
        let path = match self {
            Self::Output => PathBuf::from("standard output"),
            Self::File(path) => path.clone(),
        };
        GenerateError::Write { path, source }
    }
}

enum Sink {
    Output(Stdout),
    File(File),
}

impl Sink {
    fn sync(&self) -> io::Result<()> {
        match self {
            Self::Output(_) => Ok(()),
            Self::File(file) => file.sync_all(),
        }
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Output(_) => Err(io::ErrorKind::NotSeekable.into()),
            Self::File(file) => file.seek(to),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Output(output) => output.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Output(output) => output.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// Makes the music of one prompt and writes it, 16-bit WAV, piece after piece as it comes: the bytes of the file that
/// [`generate`](super::generate) makes with the same settings. How long it will be is known before it is made, and so is the header;
/// of a file that is ended early it is put right. `on_progress(done, total)` counts seconds of music.
pub fn stream(
    job: &mut Job,
    target: &Target,
    mut on_progress: impl FnMut(f64, f64),
) -> Result<Generated, GenerateError> {
    job.check()?;
    let settings = job.settings;
    if job.prompts.len() != 1 {
        return Err(GenerateError::OnePiece { found: job.prompts.len() });
    }
    if settings.strategy != Strategy::Clip {
        let expected = "clip: the others look at the whole piece before its first sample is written";
        return Err(SettingsError { field: "strategy", found: json!(settings.strategy).to_string(), expected }.into());
    }
    let is_wav = |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav"));
    if let Target::File(path) = target
        && !is_wav(path)
    {
        return Err(GenerateError::NotWav { path: path.clone() });
    }
    let config = job.model.config.clone();
    let codec = &config.audio_encoder;
    let (channels, frames) = (config.decoder.audio_channels, job.model.frames(settings.duration));
    let samples = (frames * codec.hop_length()) as u64;
    let mut wav = WavStream::begin(target.open()?, codec.sampling_rate, channels as u16, samples)
        .map_err(|source| target.fault(source))?;

    let started = Instant::now();
    let captions = job.captions(&[0], true)?;
    let job = &*job;
    let (seeds, beginning) = ([job.seed(0)], job.beginning());
    let batch = Batch { job, captions: &captions, seeds: &seeds, beginning: &beginning };
    let mut generated = Generated { made: 1, ..Generated::default() };
    let (first_audio, count) = (&mut generated.first_audio, &mut generated.frames);
    let made = make(
        &batch,
        |frame| {
            *count += 1;
            on_progress((frame + 1) as f64 / codec.frame_rate() as f64, settings.duration);
            if job.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
        |Samples(items)| {
            for channels in items {
                wav.write(&channels).map_err(|source| target.fault(source))?;
            }
            first_audio.get_or_insert_with(|| started.elapsed());
            Ok::<(), GenerateError>(())
        },
    );
    let ended = match target {
        Target::File(path) if path.is_file() => finish(wav),
        _ => Ok(()),
    };
    let made = made?;
    ended.map_err(|source| target.fault(source))?;
    let written = made.codes[0][0].len();
    (generated.tokens, generated.decoding) = (made.tokens, made.decoding);
    generated.seconds = written as f64 / codec.frame_rate() as f64;
    generated.interrupted = written < frames;
    Ok(generated)
}

/// Leaves a file that says how long it is, however it ended.
fn finish(mut wav: WavStream<Sink>) -> io::Result<()> {
    if !wav.is_whole() {
        wav.shorten()?;
    }
    wav.into_inner().sync()
}
