//! Datasets from end to end: made, interrupted, sharded, merged, read, damaged.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nocturne::dataset::{
    Dataset, DatasetError, Format, MelMethod, Picture, PrepareOptions, PrepareReport, Shard, merge, prepare,
};
use nocturne_models::random::Random;
use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::mel::MelConfig;

const RATE: u32 = 8000;

fn config() -> MelConfig {
    MelConfig { x_res: 16, y_res: 16, hop_length: 128, n_fft: 256, sample_rate: RATE, ..MelConfig::default() }
}

fn image() -> MelMethod {
    MelMethod::Image { config: config(), reference_level: None }
}

/// Noise with a slow envelope, other for each name.
fn sound(name: &str, samples: usize) -> Vec<f32> {
    let noise = Random::new(7, name, 0).normal(samples);
    noise.iter().enumerate().map(|(index, value)| 0.1 * value * (index as f32 / 900.0).sin()).collect()
}

fn write(folder: &Path, name: &str, samples: Vec<f32>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    Audio { sample_rate: RATE, channels: vec![samples] }.write(&path).unwrap();
}

/// Two dozen recordings, long and short, one silent, one with a silent beginning, one damaged.
fn recordings(folder: &Path) {
    for index in 0..20_usize {
        let name = format!("album {}/{index:02}.wav", index % 3);
        write(folder, &name, sound(&name, 1500 + index * 1777));
    }
    write(folder, "long.wav", sound("long", 2047 * 150));
    write(folder, "silent.wav", vec![0.0; 5000]);
    write(folder, "late.wav", [vec![0.0; 2047], sound("late", 2047)].concat());
    fs::write(folder.join("broken.mp3"), b"this is no music").unwrap();
    fs::write(folder.join("notes.txt"), b"not looked at").unwrap();
}

fn run(options: &PrepareOptions) -> Result<PrepareReport, DatasetError> {
    prepare(options, &AtomicBool::new(false), |_| ())
}

/// Every file of a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    all
}

#[test]
fn the_same_bytes_for_any_thread_count_and_after_any_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    recordings(&input);
    for format in [Format::Arrow, Format::Parquet] {
        let options = |name: &str, threads| PrepareOptions {
            format,
            threads,
            max_shard_bytes: 40_000,
            ..PrepareOptions::new(&input, folder.path().join(format!("{format}-{name}")), image())
        };
        let report = run(&options("one", 1)).unwrap();
        assert_eq!((report.files, report.skipped, report.silent), (24, 1, 3), "{report:?}");
        assert!(report.shards > 2, "{report:?}");
        let expected = contents(&options("one", 1).output_dir);
        assert!(expected.keys().all(|path| !path.starts_with(".prepare")));
        run(&options("five", 5)).unwrap();
        assert!(contents(&options("five", 5).output_dir) == expected, "five threads, {format}");

        let interrupted = options("interrupted", 2);
        let mut runs = 0;
        let mut resumed = 0;
        let report = loop {
            runs += 1;
            let cancel = AtomicBool::new(false);
            let stop_at = runs * 5;
            let result = prepare(&interrupted, &cancel, |file| {
                if file.done >= stop_at {
                    cancel.store(true, Ordering::Relaxed);
                }
            });
            match result {
                Err(DatasetError::Cancelled { .. }) => {
                    assert!(!interrupted.output_dir.join("dataset_dict.json").exists());
                    // What an interruption in the middle of a write leaves behind.
                    let work = interrupted.output_dir.join(".prepare");
                    for name in ["journal.jsonl", "shard-00000.arrow", "skipped.jsonl"] {
                        let path = work.join(name);
                        let mut bytes = fs::read(&path).unwrap();
                        bytes.extend_from_slice(b"{\"half a li");
                        if name != "shard-00000.arrow" || !work.join("shard-00001.arrow").exists() {
                            fs::write(&path, bytes).unwrap();
                        }
                    }
                }
                other => break other.unwrap(),
            }
            resumed = resumed.max(runs);
        };
        assert!(resumed > 2 && report.resumed_files > 0, "{report:?}");
        assert!(contents(&interrupted.output_dir) == expected, "interrupted, {format}");
    }
}

#[test]
fn order_columns_and_skipped_files() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    recordings(&input);
    let report = run(&PrepareOptions::new(&input, &output, image())).unwrap();
    let dataset = Dataset::open(&output).unwrap();
    assert_eq!((dataset.len() as u64, dataset.height(), dataset.width()), (report.slices, 16, 16));
    assert_eq!(dataset.method(), Some(&image()));
    let mut rows = Vec::new();
    for index in 0..dataset.len() {
        let example = dataset.get(index).unwrap();
        assert!(example.values.iter().all(|value| (-1.0..=1.0).contains(value)));
        assert_eq!(example.values.iter().copied().fold(-1.0, f32::max), 1.0);
        assert!(example.reference_level.unwrap() > 0.0);
        rows.push((example.audio_file, example.slice));
    }
    let mut sorted = rows.clone();
    sorted.sort();
    assert_eq!(rows, sorted);
    let late = input.join("late.wav").to_str().unwrap().to_string();
    assert!(rows.contains(&(late.clone(), 1)) && !rows.contains(&(late, 0)), "a silent slice keeps its number");
    let skipped = fs::read_to_string(output.join("skipped.jsonl")).unwrap();
    let skipped: serde_json::Value = serde_json::from_str(skipped.trim()).unwrap();
    assert_eq!(skipped["audio_file"], input.join("broken.mp3").to_str().unwrap());
    let (names, of_row) = dataset.audio_files().unwrap();
    assert_eq!((names.len(), of_row.len()), (22, rows.len()));
    assert_eq!(MelConfig::open(&output.join("mel/mel_config.json")).unwrap(), config());
}

#[test]
fn shards_one_after_the_other_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    recordings(&input);
    for format in [Format::Arrow, Format::Parquet] {
        let whole = PrepareOptions {
            format,
            ..PrepareOptions::new(&input, folder.path().join(format!("whole-{format}")), image())
        };
        let expected = run(&whole).unwrap();
        let parts: Vec<_> = (1..=3)
            .map(|index| {
                let output_dir = folder.path().join(format!("part-{index}-{format}"));
                let shard = Some(Shard { index, count: 3 });
                run(&PrepareOptions { output_dir: output_dir.clone(), shard, ..whole.clone() }).unwrap();
                output_dir
            })
            .collect();
        let merged = folder.path().join(format!("merged-{format}"));
        let error = merge(&parts[..2], &merged, false).unwrap_err().to_string();
        assert_eq!(error, "shards is 1, 2 of 3, expected each of 1 to 3 once");
        let shuffled = [parts[2].clone(), parts[0].clone(), parts[1].clone()];
        let report = merge(&shuffled, &merged, false).unwrap();
        assert_eq!(
            (report.slices, report.skipped, report.silent),
            (expected.slices, expected.skipped, expected.silent)
        );
        assert!(matches!(merge(&shuffled, &merged, false), Err(DatasetError::Exists { .. })));
        let (one, other) = (Dataset::open(&whole.output_dir).unwrap(), Dataset::open(&merged).unwrap());
        assert_eq!(one.len(), other.len());
        for index in 0..one.len() {
            assert_eq!(one.get(index).unwrap(), other.get(index).unwrap());
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let data = if format == Format::Arrow {
                "train/data-00002-of-00003.arrow"
            } else {
                "data/train-00002-of-00003.parquet"
            };
            assert_eq!(fs::metadata(merged.join(data)).unwrap().nlink(), 2, "a second name, not a copy");
        }
    }
}

#[test]
fn log_mels_keep_the_end_of_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let frames = 20;
    let write_24k = |name: &str, samples| {
        fs::create_dir_all(&input).unwrap();
        Audio { sample_rate: 24_000, channels: vec![sound(name, samples)] }.write(&input.join(name)).unwrap();
    };
    write_24k("long.wav", 256 * 47);
    write_24k("short.wav", 300);
    write_24k("tiny.wav", 1);
    let method = MelMethod::BigVgan { model: "bigvgan_24khz_100band".to_string(), frames };
    run(&PrepareOptions::new(&input, &output, method.clone())).unwrap();
    let dataset = Dataset::open(&output).unwrap();
    assert_eq!((dataset.height(), dataset.width(), dataset.method()), (100, frames, Some(&method)));
    let rows: Vec<_> = (0..dataset.len()).map(|index| dataset.get(index).unwrap()).collect();
    assert_eq!(rows.iter().filter(|row| row.audio_file.ends_with("long.wav")).count(), 3);
    // Frames 27..47 of the recording are the last slice; frame 27 is frame 7 of the slice before.
    for band in 0..100 {
        assert_eq!(rows[2].values[band * frames], rows[1].values[band * frames + 7]);
    }
    assert!(rows.iter().all(|row| row.reference_level.is_none()));
}

#[test]
fn what_is_there_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    write(&input, "a.wav", sound("a", 9000));
    let options = PrepareOptions::new(&input, &output, image());
    run(&options).unwrap();
    let error = run(&options).unwrap_err();
    assert!(matches!(error, DatasetError::Exists { .. }), "{error}");
    fs::write(output.join("README.md"), "mine").unwrap();
    let parquet = PrepareOptions { format: Format::Parquet, overwrite: true, ..options.clone() };
    run(&parquet).unwrap();
    assert!(!output.join("train").exists() && !output.join("dataset_dict.json").exists());
    assert_eq!(fs::read_to_string(output.join("README.md")).unwrap(), "mine");
    assert_eq!(Dataset::open(&output).unwrap().len(), 4);
}

#[test]
fn another_job_does_not_continue_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    write(&input, "a.wav", sound("a", 9000));
    write(&input, "b.wav", sound("b", 9000));
    let options = PrepareOptions { threads: 1, ..PrepareOptions::new(&input, &output, image()) };
    let stopped = prepare(&options, &AtomicBool::new(true), |_| ()).unwrap_err();
    assert!(matches!(stopped, DatasetError::Cancelled { done: 0, files: 2 }), "{stopped}");
    let flat = PrepareOptions { flat: true, ..options.clone() };
    let message = run(&flat).unwrap_err().to_string();
    assert!(message.contains("flat (false, now true)"), "{message}");
    write(&input, "c.wav", sound("c", 9000));
    let message = run(&options).unwrap_err().to_string();
    assert!(message.contains("list of input files"), "{message}");
    let report = run(&PrepareOptions { overwrite: true, ..options }).unwrap();
    assert_eq!((report.files, report.slices), (3, 12));
}

#[test]
fn nothing_to_do_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let options = PrepareOptions::new(&input, &output, image());
    assert!(matches!(run(&options), Err(DatasetError::Io { .. })));
    fs::create_dir(&input).unwrap();
    assert!(matches!(run(&options), Err(DatasetError::NoAudio { .. })));
    write(&input, "silent.wav", vec![0.0; 4000]);
    fs::write(input.join("no.wav"), b"RIFF").unwrap();
    let error = run(&options).unwrap_err();
    assert!(matches!(error, DatasetError::NoSlices { skipped: 1, silent: 1, .. }), "{error}");
    assert!(fs::read_to_string(output.join("skipped.jsonl")).unwrap().contains("no.wav"));
}

#[test]
fn a_global_level_keeps_what_is_quiet_dark() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    write(&input, "loud.wav", sound("x", 2047));
    write(&input, "quiet.wav", sound("x", 2047).iter().map(|value| value * 0.1).collect());
    let method = MelMethod::Image { config: config(), reference_level: Some(100.0) };
    run(&PrepareOptions::new(&input, &output, method)).unwrap();
    let dataset = Dataset::open(&output).unwrap();
    let mean = |index| dataset.get(index).unwrap().values.iter().sum::<f32>() / 256.0;
    // 20 dB of 80 are a quarter of the range from -1 to 1.
    assert!((mean(0) - mean(1) - 0.5).abs() < 0.05, "{} {}", mean(0), mean(1));
    assert_eq!(dataset.get(1).unwrap().reference_level, Some(100.0));
}

#[test]
fn a_folder_of_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let picture = |width: usize, value| Picture { width, height: 4, pixels: vec![value; width * 4] };
    fs::create_dir(folder.path().join("deep")).unwrap();
    fs::write(folder.path().join("b.png"), picture(6, 255).to_png()).unwrap();
    fs::write(folder.path().join("deep/a.png"), picture(6, 0).to_png()).unwrap();
    let dataset = Dataset::open(folder.path()).unwrap();
    assert_eq!((dataset.len(), dataset.height(), dataset.width()), (2, 4, 6));
    assert_eq!(dataset.get(0).unwrap().values, [1.0; 24]);
    assert_eq!(dataset.get(1).unwrap().values, [-1.0; 24]);
    fs::write(folder.path().join("z.png"), picture(5, 0).to_png()).unwrap();
    let dataset = Dataset::open(folder.path()).unwrap();
    let message = dataset.get(2).unwrap_err().to_string();
    assert!(message.contains("4 bands and 5 frames, expected 4 and 6 as in the first example"), "{message}");
}

#[test]
fn damaged_datasets_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    write(&input, "a.wav", sound("a", 9000));
    for (format, file) in
        [(Format::Arrow, "train/data-00000-of-00001.arrow"), (Format::Parquet, "data/train-00000-of-00001.parquet")]
    {
        let output = folder.path().join(format.to_string());
        run(&PrepareOptions { format, ..PrepareOptions::new(&input, &output, image()) }).unwrap();
        let path = output.join(file);
        let whole = fs::read(&path).unwrap();
        let read = || -> Result<(), DatasetError> {
            let dataset = Dataset::open(&path)?;
            for index in 0..dataset.len().min(8) {
                dataset.get(index)?;
            }
            Ok(())
        };
        read().unwrap();
        let mut random = Random::new(3, "damage", 0);
        let mut errors = 0;
        for round in 0..400 {
            let mut damaged = whole.clone();
            if round % 4 == 0 {
                damaged.truncate(random.below(whole.len() as u64) as usize);
            } else {
                // Near the ends, where the structure is, more often than in the middle.
                let reach = if round % 2 == 0 { whole.len() } else { 1200 } as u64;
                for _ in 0..=random.below(3) {
                    let at = random.below(reach.min(whole.len() as u64)) as usize;
                    let at = if format == Format::Parquet { whole.len() - 1 - at } else { at };
                    damaged[at] ^= 1 << random.below(8);
                }
            }
            fs::write(&path, &damaged).unwrap();
            errors += usize::from(read().is_err());
        }
        assert!(errors > 100, "{errors} of 400 seen, {format}");
        fs::write(&path, whole).unwrap();
        read().unwrap();
    }
    let outside = folder.path().join("arrow/train/state.json");
    fs::write(&outside, r#"{"_data_files": [{"filename": "../../../etc/passwd"}]}"#).unwrap();
    let message = Dataset::open(&folder.path().join("arrow")).err().unwrap().to_string();
    assert!(message.contains("expected a plain file name"), "{message}");
}
