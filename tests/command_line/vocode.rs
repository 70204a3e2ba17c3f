use super::support::{Run, contents, nocturne, run, tone, training, with_model};
use burn::tensor::Device;
use nocturne::npy;
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::random::Random;
use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::bigvgan::BigVganConfig;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const NAME: &str = "bigvgan_base_22khz_80band";
const SILENCE: f32 = -11.5129;

/// A BigVGAN of a few thousand parameters for the mels of a published one.
fn checkpoint(folder: &Path, name: &str) {
    let config = BigVganConfig {
        upsample_rates: vec![16, 16],
        upsample_kernel_sizes: vec![32, 32],
        upsample_initial_channel: 8,
        resblock_kernel_sizes: vec![3],
        resblock_dilation_sizes: vec![vec![1, 3]],
        ..BigVganConfig::published(name).unwrap()
    };
    let network = config.init(&Device::flex(), &mut Random::new(1, "vocoder", 0)).unwrap();
    network::save(&config, &network, folder).unwrap();
}

/// A folder with `bigvgan/` and other checkpoints, and mels.
fn with_mels() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    checkpoint(&folder.path().join("bigvgan"), NAME);
    mel(&folder.path().join("one.npy"), &[1, 80, 12], 0);
    folder
}

/// Natural logarithms of made-up magnitudes.
fn mel(path: &Path, shape: &[usize], index: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let noise = Random::new(3, "mel", index).normal(shape.iter().product());
    let values: Vec<f32> = noise.iter().map(|value| (2.0 * value - 6.0).clamp(SILENCE, 2.0)).collect();
    npy::write::<f32>(path, shape, &values).unwrap();
}

fn vocode(folder: &Path, arguments: &[&str]) -> Run {
    run(folder, &[&["vocode", "--output-dir", "out", "--device", "cpu"][..], arguments].concat())
}

fn bigvgan(folder: &Path, input: &str) -> Run {
    vocode(folder, &["--vocoder", "bigvgan", "--checkpoint", "bigvgan", "--input", input, "--json"])
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_form_of_mel_becomes_audio() {
    let folder = with_mels();
    let report = bigvgan(folder.path(), "one.npy").ends_with(0).json();
    assert_eq!((&report["clips"], &report["skipped"]), (&1.into(), &0.into()));
    assert!(report["vocode_seconds"].as_f64().unwrap() > 0.0, "{report}");
    let audio = Audio::decode(&folder.path().join("out/one.wav")).unwrap();
    assert_eq!((audio.sample_rate, audio.channels.len(), audio.frames()), (22_050, 1, 12 * 256));
    assert!(audio.channels[0].iter().any(|sample| *sample != 0.0));

    // Two dimensions, several clips, silence, a single frame.
    for (name, shape) in [("flat", &[80, 12][..]), ("many", &[3, 80, 5]), ("channel", &[2, 1, 80, 1])] {
        mel(&folder.path().join(format!("mels/{name}.npy")), shape, 1);
    }
    npy::write::<f32>(&folder.path().join("mels/silence.npy"), &[1, 80, 1], &[SILENCE; 80]).unwrap();
    fs::write(folder.path().join("mels/notes.txt"), "").unwrap();
    assert_eq!(bigvgan(folder.path(), "mels").ends_with(0).json()["clips"], 7);
    let expected = [
        "channel_000000.wav",
        "channel_000001.wav",
        "flat.wav",
        "many_000000.wav",
        "many_000001.wav",
        "many_000002.wav",
        "nocturne.yaml",
        "one.wav",
        "silence.wav",
    ];
    assert_eq!(names(&folder.path().join("out")), expected);
    assert_eq!(Audio::decode(&folder.path().join("out/channel_000001.wav")).unwrap().frames(), 256);

    // The same mels by Griffin-Lim, where it is said what they are.
    let flags = ["--input", "one.npy", "--bigvgan-model", NAME, "--n-iter", "2", "--quiet"];
    vocode(folder.path(), &flags).ends_with(0);
    let again = Audio::decode(&folder.path().join("out/one.wav")).unwrap();
    assert!(again.frames() == audio.frames() && again != audio);
    let flags = ["--input", "one.npy", "--bigvgan-model", "bigvgan", "--n-iter", "2", "--quiet"];
    vocode(folder.path(), &flags).ends_with(0);
    assert_eq!(Audio::decode(&folder.path().join("out/one.wav")).unwrap(), again);
}

/// `[1, 80, 4]` of noise, saved by PyTorch as a tensor and as a list of two: `scripts/reference/saved_tensors.py`.
#[test]
fn saved_tensors_become_audio() {
    let folder = with_mels();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/saved_tensors");
    for name in ["mel.pt", "mels.pt"] {
        fs::copy(fixtures.join(name), folder.path().join(name)).unwrap();
        bigvgan(folder.path(), name).ends_with(0);
    }
    let out = folder.path().join("out");
    assert_eq!(names(&out), ["mel.wav", "mels_000000.wav", "mels_000001.wav", "nocturne.yaml"]);
    let [one, first] = ["mel.wav", "mels_000000.wav"].map(|name| fs::read(out.join(name)).unwrap());
    assert!(one == first);
    for name in ["dictionary.pt", "whole_numbers.pt"] {
        fs::copy(fixtures.join(name), folder.path().join(name)).unwrap();
        bigvgan(folder.path(), name).ends_with(1).complains(&[name, "not a saved tensor"]);
    }
    fs::write(folder.path().join("cut.pt"), &fs::read(fixtures.join("mel.pt")).unwrap()[..900]).unwrap();
    bigvgan(folder.path(), "cut.pt").ends_with(1).complains(&["cut.pt"]);
}

#[test]
fn mels_that_do_not_fit_are_refused_with_both_sides() {
    let folder = with_mels();
    let path = |name: &str| folder.path().join(name);
    mel(&path("narrow.npy"), &[1, 100, 5], 0);
    npy::write::<f32>(&path("unit.npy"), &[1, 80, 2], &[0.25; 160]).unwrap();
    npy::write::<f32>(&path("decibels.npy"), &[1, 80, 2], &[-60.0; 160]).unwrap();
    npy::write::<f32>(&path("nan.npy"), &[1, 80, 2], &[f32::NAN; 160]).unwrap();
    npy::write::<f32>(&path("vector.npy"), &[160], &[-5.0; 160]).unwrap();
    npy::write::<f64>(&path("double.npy"), &[80, 2], &[-5.0; 160]).unwrap();
    fs::write(path("text.npy"), "mel").unwrap();
    let cases = [
        ("narrow.npy", 2, ["found 100 bands", "expected 80"]),
        ("unit.npy", 2, ["values from 0.25", "natural logarithms"]),
        ("decibels.npy", 2, ["values from -60", "natural logarithms"]),
        ("nan.npy", 2, ["nan.npy", "not finite"]),
        ("vector.npy", 2, ["[160]", "[mel, frame]"]),
        ("double.npy", 1, ["double.npy", "<f8"]),
        ("text.npy", 1, ["text.npy", "magic"]),
        ("none.npy", 2, ["cannot read", "none.npy"]),
    ];
    for (file, code, words) in cases {
        bigvgan(folder.path(), file).ends_with(code).complains(&words);
    }

    // A checkpoint of another rate, of another upper edge; pictures; nothing known; nothing to open.
    checkpoint(&path("other"), "bigvgan_base_24khz_100band");
    let named = |checkpoint: &str, name: &str| {
        let flags = ["--vocoder", "bigvgan", "--checkpoint", checkpoint, "--input", "one.npy", "--bigvgan-model", name];
        vocode(folder.path(), &flags).ends_with(2)
    };
    named("other", NAME).complains(&["80 bands", "22050 Hz", "other takes", "100 bands", "24000 Hz"]);
    named("bigvgan", "bigvgan_v2_22khz_80band_256x").complains(&["to 11025 Hz", "to 8000 Hz"]);
    named("bigvgan", "bigvgan_99").complains(&["bigvgan_99", NAME]);
    let pictures = with_model().join("model/mel/mel_config.json");
    let flags = ["--vocoder", "bigvgan", "--checkpoint", "bigvgan", "--input", "one.npy", "--mel-config"];
    let refused = vocode(folder.path(), &[&flags[..], &[pictures.to_str().unwrap()]].concat()).ends_with(2);
    refused.complains(&["decibel pictures of 16 bands", "bigvgan takes log-mels of 80 bands"]);
    vocode(folder.path(), &["--input", "one.npy"]).ends_with(2).complains(&["mel_config.json", "--bigvgan-model"]);
    vocode(folder.path(), &["--input", "one.npy", "--vocoder", "bigvgan"]).ends_with(2).complains(&["checkpoint"]);
    vocode(folder.path(), &["--input", "one.npy", "--checkpoint", "bigvgan"]).ends_with(2).complains(&["Griffin-Lim"]);
    fs::create_dir(path("empty")).unwrap();
    bigvgan(folder.path(), "empty").ends_with(2).complains(&["holds no mels"]);
    fs::copy(path("one.npy"), path("empty/a.npy")).unwrap();
    fs::copy(path("one.npy"), path("empty/a.pt")).unwrap();
    bigvgan(folder.path(), "empty").ends_with(2).complains(&["a.npy", "a.pt", "a.wav"]);
    assert!(!path("out").exists());
}

#[test]
fn files_of_a_folder_that_cannot_be_used_are_left_out() {
    let folder = with_mels();
    mel(&folder.path().join("mels/a.npy"), &[1, 80, 2], 0);
    mel(&folder.path().join("mels/b.npy"), &[1, 64, 2], 0);
    fs::write(folder.path().join("mels/c.pt"), "no tensor").unwrap();
    let report = bigvgan(folder.path(), "mels").ends_with(3).complains(&["b.npy", "c.pt"]).json();
    assert_eq!((&report["clips"], &report["skipped"]), (&1.into(), &2.into()));
    let lines = fs::read_to_string(folder.path().join("out/skipped.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["audio_file"], &first["reason"]), (&"mels/b.npy".into(), &"found 64 bands, expected 80".into()));
    assert!(lines.lines().count() == 2 && lines.contains("mels/c.pt"), "{lines}");
    fs::remove_file(folder.path().join("mels/a.npy")).unwrap();
    bigvgan(folder.path(), "mels").ends_with(1).complains(&["none of the 2 files", "b.npy"]);
}

#[test]
fn damaged_checkpoints_are_named_by_the_file_that_is_damaged() {
    let folder = with_mels();
    let place = folder.path().join("bigvgan");
    let weights = "bigvgan_generator.safetensors";
    let whole = contents(&place);
    let config = String::from_utf8(whole[Path::new("config.json")].clone()).unwrap();
    let cases: [(&str, Option<Vec<u8>>, &str); 7] = [
        (weights, Some(whole[Path::new(weights)][..500].to_vec()), weights),
        (weights, Some(b"PK\x03\x04".to_vec()), weights),
        (weights, None, "no weights"),
        ("config.json", Some(b"{".to_vec()), "config.json"),
        ("config.json", None, "config.json"),
        ("config.json", Some(config.replace("\"snakebeta\"", "\"relu\"").into_bytes()), "activation"),
        (
            "config.json",
            Some(config.replace("\"upsample_initial_channel\": 8", "\"upsample_initial_channel\": 16").into()),
            "conv_pre",
        ),
    ];
    for (file, bytes, word) in cases {
        for (name, bytes) in &whole {
            fs::write(place.join(name), bytes).unwrap();
        }
        match bytes {
            Some(bytes) => fs::write(place.join(file), bytes).unwrap(),
            None => fs::remove_file(place.join(file)).unwrap(),
        }
        let refused = bigvgan(folder.path(), "one.npy").ends_with(1).complains(&["error: ", word]);
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    }
    assert!(!folder.path().join("out").exists());
}

/// A small model of BigVGAN's log-mels in `model/`, and a checkpoint for them in `bigvgan/`.
fn with_log_model() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vocode");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for index in 0..3 {
            tone(&folder, &format!("music/{index}.wav"), index, 1.0);
        }
        let mels = ["--mel-spec-method", "bigvgan", "--bigvgan-model", NAME, "--resolution", "16,80", "--quiet"];
        run(&folder, &[&["prepare", "--input-dir", "music", "--output-dir", "mels"][..], &mels].concat()).ends_with(0);
        run(&folder, &training(&["--output-dir", "model", "--max-training-num-steps", "1", "--quiet"])).ends_with(0);
        checkpoint(&folder.join("bigvgan"), NAME);
        folder
    })
}

/// In one process, and in two through the mels on disk: the same samples, by either vocoder.
#[test]
fn generating_with_a_vocoder_is_vocoding_what_was_generated() {
    let from = with_log_model();
    let folder = tempfile::tempdir().unwrap();
    let model = from.join("model");
    let weights = from.join("bigvgan");
    let weights = weights.to_str().unwrap();
    for (vocoder, checkpoint) in [("bigvgan", Some(weights)), ("griffin-lim", None)] {
        let flags = ["generate", "--model", model.to_str().unwrap(), "--output-dir", vocoder, "--num-images", "2"];
        let quick = ["--num-inference-steps", "2", "--n-iter", "2", "--vocoder", vocoder, "--json"];
        let chosen: Vec<&str> = checkpoint.iter().flat_map(|weights| ["--vocoder-checkpoint", weights]).collect();
        let report = run(folder.path(), &[&flags[..], &quick, &chosen].concat()).ends_with(0).json();
        assert!(report["vocoder_seconds"].as_f64().unwrap() > 0.0);
        let mels = format!("{vocoder}/mels");
        let out = format!("{vocoder}/again");
        let flags = ["vocode", "--input", &mels, "--output-dir", &out, "--vocoder", vocoder, "--n-iter", "2"];
        run(folder.path(), &[&flags[..], &chosen].concat()).ends_with(0);
        for name in ["000000.wav", "000001.wav"] {
            let read = |part: &str| fs::read(folder.path().join(vocoder).join(part).join(name)).unwrap();
            assert!(read("audio") == read("again"), "{vocoder}, {name}");
            assert_eq!(
                Audio::decode(&folder.path().join(vocoder).join("audio").join(name)).unwrap().frames(),
                16 * 256
            );
        }
    }
    let picture = with_model().join("model");
    let flags = ["generate", "--model", picture.to_str().unwrap(), "--output-dir", "g", "--vocoder", "bigvgan"];
    let refused = run(folder.path(), &[&flags[..], &["--vocoder-checkpoint", weights]].concat());
    refused.ends_with(2).complains(&["decibel pictures"]);
    run(folder.path(), &flags).ends_with(2).complains(&["BigVGAN needs a checkpoint"]);
    assert!(!folder.path().join("g").exists());
}

/// Serves a folder as the hub would, for the rest of the test.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let request = lines.next().unwrap_or_default();
            lines.for_each(drop);
            let name = request.split(['/', ' ']).rev().nth(2).unwrap_or_default().to_owned();
            let (status, body) = match fs::read(folder.join(&name)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let headers = format!("X-Repo-Commit: c0ffee\r\nETag: \"{length}\"\r\nContent-Length: {length}\r\n");
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
            let body = if request.starts_with("HEAD") { &[][..] } else { &body };
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    endpoint
}

#[test]
fn a_checkpoint_by_name_comes_from_the_hub_once() {
    let folder = with_mels();
    let name = format!("nvidia/{NAME}");
    let flags = ["vocode", "--input", "one.npy", "--output-dir", "out", "--vocoder", "bigvgan", "--checkpoint", &name];
    let with = |endpoint: &str, offline: &str| {
        let mut command = nocturne(folder.path(), &flags);
        command.env_remove("HF_HUB_CACHE").env("HF_HOME", folder.path().join("home")).env("NO_PROXY", "127.0.0.1");
        let output = command.env("HF_ENDPOINT", endpoint).env("HF_HUB_OFFLINE", offline).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    };
    let nobody = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    with(&nobody, "0").ends_with(1).complains(&[&name, &nobody, "cannot be reached", "hf download"]);
    with(&nobody, "1").ends_with(2).complains(&[&name, "HF_HUB_OFFLINE", "hf download"]);
    let endpoint = serve(folder.path().join("bigvgan"));
    with(&endpoint, "0").ends_with(0).complains(&[
        "downloading config.json (",
        "bigvgan_generator.safetensors (",
        "kB",
    ]);
    let heard = fs::read(folder.path().join("out/one.wav")).unwrap();
    assert!(folder.path().join(format!("home/hub/models--nvidia--{NAME}/snapshots/c0ffee/config.json")).is_file());
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    // From the cache, with nobody to ask.
    with(&nobody, "0").ends_with(0);
    assert!(fs::read(folder.path().join("out/one.wav")).unwrap() == heard);
}

#[test]
fn checkpoints_are_found_in_the_cache_by_name() {
    let folder = with_mels();
    let cache = folder.path().join("cache");
    let repository = cache.join(format!("models--nvidia--{NAME}"));
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), "0123abc").unwrap();
    fs::create_dir_all(cache.join("models--someone--else/snapshots")).unwrap();
    let offline = |arguments: &[&str]| {
        let output = nocturne(folder.path(), arguments).env("HF_HUB_CACHE", &cache).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    };
    let name = format!("nvidia/{NAME}");
    let flags = ["vocode", "--input", "one.npy", "--output-dir", "out", "--vocoder", "bigvgan", "--checkpoint", &name];
    offline(&flags).ends_with(2).complains(&[&name, "cache", "hf download"]);
    assert!(offline(&["doctor"]).ends_with(0).stdout.contains("no BigVGAN in"));

    checkpoint(&repository.join("snapshots/0123abc"), NAME);
    offline(&flags).ends_with(0);
    assert!(folder.path().join("out/one.wav").is_file());
    let [log, picture] = [with_log_model(), with_model()].map(|folder| folder.join("model"));
    for (model, fits) in [(&log, true), (&picture, false)] {
        let doctor = offline(&["doctor", "--json", "--model", model.to_str().unwrap()]).ends_with(0).json();
        let vocoders = doctor["vocoders"].as_array().unwrap();
        assert_eq!(vocoders.len(), 1, "{doctor}");
        assert_eq!((&vocoders[0]["name"], &vocoders[0]["fits"]), (&name.as_str().into(), &fits.into()));
    }
    assert!(offline(&["doctor"]).ends_with(0).stdout.contains(&format!("vocoder {name}: log-mels of 80 bands")));

    // A model's mels name their vocoder.
    let flags = ["generate", "--model", log.to_str().unwrap(), "--output-dir", "g", "--num-images", "1"];
    let quick = ["--num-inference-steps", "2", "--vocoder", "bigvgan"];
    offline(&[&flags[..], &quick].concat()).ends_with(0);
    let flags = ["vocode", "--input", "g/mels", "--output-dir", "again", "--vocoder", "bigvgan"];
    offline(&flags).ends_with(0);
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(read("g/audio/000000.wav") == read("again/000000.wav"));
}
