use super::super::support::{Run, nocturne, run};
use super::{generate, with_model};
use nocturne_vocoder::audio::Audio;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const MODEL: [&str; 7] = ["musicgen", "generate", "--model", "model", "--device", "cpu", "--json"];
const SOME: [&str; 8] = ["--prompt", "soft rain", "--duration", "0.5", "--top-k", "12", "--seed", "5"];

fn stream(folder: &Path, arguments: &[&str]) -> Run {
    run(folder, &[&MODEL[..], arguments].concat())
}

#[test]
fn what_is_streamed_is_the_file() {
    let folder = with_model();
    let at = |name: &str| folder.path().join(name);
    generate(folder.path(), "out", &[&SOME[..], &["--strategy", "clip"]].concat()).ends_with(0);
    let file = fs::read(at("out/000000.wav")).unwrap();
    let output = nocturne(folder.path(), &[&MODEL[..], &SOME, &["--stream", "-"]].concat()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, file);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let result: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&result["stream"], &result["seconds"]), (&"-".into(), &0.5.into()));
    assert!(result["seconds_to_first_audio"].as_f64().unwrap() > 0.0);

    let result = stream(folder.path(), &[&SOME[..], &["--stream", "song.wav"]].concat()).ends_with(0).json();
    assert_eq!(result["stream"], "song.wav");
    assert_eq!(fs::read(at("song.wav")).unwrap(), file);
    // What it was made with goes the way that a folder's files go.
    generate(folder.path(), "again", &[&SOME[..2], &["--config", "song.yaml"]].concat()).ends_with(0);
    assert_eq!(fs::read(at("again/000000.wav")).unwrap(), file);
}

#[test]
#[cfg(unix)]
fn audio_is_there_long_before_the_end() {
    let folder = with_model();
    let long = [&MODEL[..], &["--prompt", "soft rain", "--duration", "3600"]].concat();
    let interrupt = |id: u32| Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();

    let mut child = nocturne(folder.path(), &[&long[..], &["--stream", "-"]].concat()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let mut heard = vec![0; 44 + 16_000];
    pipe.read_exact(&mut heard).unwrap();
    assert_eq!((&heard[..4], &heard[36..40]), (&b"RIFF"[..], &b"data"[..]));
    assert_eq!(u32::from_le_bytes(heard[40..44].try_into().unwrap()), 3600 * 8_000 * 2);
    interrupt(child.id());
    pipe.read_to_end(&mut heard).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(heard.len() < 3600 * 8_000);

    // A file that was ended says how long it became.
    let mut child = nocturne(folder.path(), &[&long[..], &["--stream", "song.wav"]].concat()).spawn().unwrap();
    let path = folder.path().join("song.wav");
    let length = || fs::metadata(&path).map_or(0, |file| file.len());
    while length() < 44 + 16_000 {
        assert!(child.try_wait().unwrap().is_none());
        sleep(Duration::from_millis(10));
    }
    interrupt(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let audio = Audio::decode(&path).unwrap();
    assert_eq!(length(), 44 + 2 * audio.frames() as u64);
    assert!(audio.frames() >= 8_000 && audio.frames().is_multiple_of(40), "{}", audio.frames());
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let folder = with_model();
    let arguments = ["--prompt", "soft rain", "--duration", "3600", "--stream", "-"];
    let mut child = nocturne(folder.path(), &[&MODEL[..], &arguments].concat()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Run { code: output.status.code().unwrap(), stdout: String::new(), stderr }
        .ends_with(1)
        .complains(&["standard output"]);
}

#[test]
fn what_cannot_be_streamed_is_refused() {
    let folder = with_model();
    let refused = |arguments: &[&str], words: &[&str]| {
        stream(folder.path(), &[&["--prompt", "a"], arguments].concat()).ends_with(2).complains(words);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    };
    refused(&[], &["--output-dir", "--stream"]);
    refused(&["--stream", "a.wav", "--output-dir", "out"], &["--stream", "--output-dir"]);
    refused(&["--stream", "a.mp3"], &["a.mp3", "WAV"]);
    refused(&["--stream", "a.wav", "--prompt", "b"], &["2 captions", "one"]);
    refused(&["--stream", "a.wav", "--strategy", "loudness"], &["sampling.strategy", "loudness", "clip"]);
    refused(&["--stream", "a.wav", "--set", "sampling.strategy=peak"], &["sampling.strategy", "peak", "clip"]);
    refused(&["--stream", "a.wav", "--save-codes"], &["--save-codes", "--stream"]);
    refused(&["--stream", "a.wav", "--zip", "a.zip"], &["--zip", "--stream"]);
    let absent = ["--prompt", "a", "--stream", "absent/a.wav"];
    stream(folder.path(), &absent).ends_with(1).complains(&["absent/a.wav"]);
}
