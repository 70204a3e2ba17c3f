use super::super::support::{Run, run};
use super::{codes, with_model};
use burn::tensor::Device;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::musicgen::{Generation, MusicgenConfig, Sampling, generate};
use nocturne_models::network;
use nocturne_vocoder::audio::{Audio, SampleFormat};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

fn go_on(folder: &Path, output: &str, arguments: &[&str]) -> Run {
    let command = ["musicgen", "continue", "--model", "model", "--device", "cpu", "--json", "--output-dir", output];
    run(folder, &[&command[..], arguments].concat())
}

/// A tone of so many seconds and channels, in 32-bit floats.
fn record(file: &Path, rate: u32, seconds: f64, channels: usize) {
    let count = (seconds * f64::from(rate)) as usize;
    let samples: Vec<f32> = (0..count).map(|sample| 0.4 * (sample as f32 * 2000.0 / rate as f32).sin()).collect();
    let audio = Audio { sample_rate: rate, channels: vec![samples; channels] };
    audio.write_as(file, SampleFormat::Float32).unwrap();
}

/// `[codebook][frame]` of a file.
fn books(folder: &Path, output: &str) -> Vec<Vec<usize>> {
    let codes = codes(folder.join(output).join("000000.npy"));
    codes.values.chunks(codes.shape[1]).map(|book| book.iter().map(|code| *code as usize).collect()).collect()
}

fn first(books: &[Vec<usize>], frames: usize) -> Vec<Vec<usize>> {
    books.iter().map(|book| book[..frames].to_vec()).collect()
}

/// `scripts/reference/musicgen_continue.py`: the codes of a recording, and those that follow it.
#[test]
fn the_codes_are_those_of_transformers() {
    let folder = with_model();
    let fixture = "models/tests/fixtures/musicgen/whole/continued.safetensors";
    let fixture = Checkpoint::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture)).unwrap();
    let audio = Audio { sample_rate: 8_000, channels: vec![fixture.read("samples").unwrap()] };
    audio.write_as(&folder.path().join("song.wav"), SampleFormat::Float32).unwrap();
    let caption = ["--prompt", "A soft piano melody over warm strings."];
    let arguments = ["--audio", "song.wav", "--duration", "0.6", "--greedy", "--save-codes"];
    let result = go_on(folder.path(), "out", &[&arguments[..], &caption].concat()).ends_with(0).json();
    assert_eq!((&result["files"], &result["seconds"]), (&1.into(), &0.6.into()));
    let expected: Vec<i64> = fixture.read("codes").unwrap().into_iter().map(|code| code as i64).collect();
    let found = codes(folder.path().join("out/000000.npy"));
    assert_eq!((found.shape, found.values), (vec![4, 120], expected));
    // The recording is what it begins with.
    assert_eq!(Audio::decode(&folder.path().join("out/000000.wav")).unwrap().frames(), 120 * 40);
}

#[test]
fn a_part_of_any_recording_is_gone_on_from() {
    let folder = with_model();
    let at = |name: &str| folder.path().join(name);
    record(&at("mono.wav"), 8_000, 0.25, 1);
    record(&at("stereo.wav"), 8_000, 0.25, 2);
    record(&at("high.wav"), 44_100, 0.25, 1);
    let arguments = ["--duration", "0.5", "--greedy", "--save-codes"];
    let made = |output: &str, more: &[&str]| {
        let run = go_on(folder.path(), output, &[&arguments[..], more].concat()).ends_with(0);
        assert!(!run.stderr.contains("warning"), "{}", run.stderr);
        books(folder.path(), output)
    };
    let whole = made("mono", &["--audio", "mono.wav"]);
    assert_eq!((whole.len(), whole[0].len()), (4, 100));
    assert_eq!(made("stereo", &["--audio", "stereo.wav"]), whole);
    assert_eq!(made("high", &["--audio", "high.wav"])[0].len(), 100);
    let part = made("part", &["--audio", "mono.wav", "--prompt-start", "0.05", "--prompt-duration", "0.1"]);
    record(&at("cut.wav"), 8_000, 0.25, 1);
    let samples = Audio::decode(&at("mono.wav")).unwrap().channels[0][400..1200].to_vec();
    Audio { sample_rate: 8_000, channels: vec![samples] }.write_as(&at("cut.wav"), SampleFormat::Float32).unwrap();
    assert_eq!(made("cut", &["--audio", "cut.wav"]), part);

    // Once more nothing is to be done, but where the recording is another.
    let again = |audio| {
        let arguments = [&arguments[..], &["--audio", audio]].concat();
        go_on(folder.path(), "mono", &arguments).ends_with(0).json()["files"].clone()
    };
    assert_eq!((again("mono.wav"), again("cut.wav"), again("cut.wav")), (0.into(), 1.into(), 0.into()));
}

/// The second window begins with the last twelve seconds of the first, as in audiocraft, whatever those began with.
#[test]
fn windows_go_on_from_each_other() {
    let folder = with_model();
    record(&folder.path().join("song.wav"), 8_000, 13.0, 1);
    let arguments = ["--audio", "song.wav", "--duration", "30.1", "--greedy", "--save-codes"];
    go_on(folder.path(), "out", &[&arguments[..], &["--guidance-scale", "1"]].concat()).ends_with(0);
    let found = books(folder.path(), "out");
    let (config, network) = network::open::<MusicgenConfig>(&folder.path().join("model"), &Device::flex()).unwrap();
    let follow = |prompt: Vec<Vec<usize>>, frames| {
        let prompts = [prompt];
        let generation = Generation {
            frames,
            prompts: &prompts,
            sampling: Sampling::GREEDY,
            guidance_scale: 1.0,
            two_step_cfg: false,
            seeds: &[0],
        };
        let go_on = |_: usize, _: &[Vec<Vec<usize>>]| ControlFlow::Continue(());
        generate(&network.decoder, &config.decoder, None, &generation, go_on).unwrap().remove(0)
    };
    assert_eq!(follow(first(&found, 2_600), 6_000), first(&found, 6_000));
    let last: Vec<Vec<usize>> = found.iter().map(|book| book[3_600..].to_vec()).collect();
    assert_eq!((last[0].len(), follow(first(&last, 2_400), 2_420)), (2_420, last));
}

#[test]
fn what_cannot_be_gone_on_from_is_refused() {
    let folder = with_model();
    let at = |name: &str| folder.path().join(name);
    record(&at("song.wav"), 8_000, 0.25, 1);
    fs::write(at("words.wav"), "no audio").unwrap();
    let refused = |arguments: &[&str], words: &[&str]| {
        go_on(folder.path(), "out", arguments).ends_with(2).complains(words);
        assert!(!at("out").exists());
    };
    refused(&[], &["--audio"]);
    refused(&["--audio", "absent.wav"], &["absent.wav"]);
    refused(&["--audio", "words.wav"], &["words.wav", "not an audio file"]);
    refused(&["--audio", "song.wav", "--duration", "0.25"], &["0.25 s to go on from", "0.25 s that", "--prompt-start"]);
    refused(&["--audio", "song.wav", "--prompt-start", "0.3"], &["song.wav", "0.3 s", "0.25 s"]);
    refused(&["--audio", "song.wav", "--prompt-start=-1"], &["--prompt-start", "0 or more"]);
    record(&at("long.wav"), 8_000, 30.0, 1);
    refused(&["--audio", "long.wav", "--duration", "60"], &["30.00 s to go on from", "30 s that the model sees"]);
}
