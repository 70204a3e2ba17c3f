use super::support::{contents, nocturne, prepare, run, tone};
use std::fs;
use std::path::Path;

/// The data of a dataset: what must not depend on how it was made.
fn data(folder: &Path) -> impl PartialEq + use<> {
    let mut files = contents(folder);
    files.retain(|path, _| path.starts_with("train") || path.starts_with("data"));
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

#[test]
fn damaged_files_are_skipped_named_and_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    tone(folder.path(), "music/sub folder/ünï ♫.wav", 0, 0.5);
    tone(folder.path(), "music/whole.wav", 1, 0.5);
    let whole = fs::read(folder.path().join("music/whole.wav")).unwrap();
    fs::write(folder.path().join("music/empty.wav"), b"").unwrap();
    fs::write(folder.path().join("music/header.wav"), &whole[..40]).unwrap();
    fs::write(folder.path().join("music/page.mp3"), "<html>not found</html>".repeat(100)).unwrap();
    fs::write(folder.path().join("music/notes.txt"), "no audio, and no claim to be").unwrap();
    let done = prepare(folder.path(), &["--input_dir", "music", "--output_dir=mels", "--json"]).ends_with(3);
    let report = done.json();
    assert_eq!((report["files"].as_u64(), report["skipped"].as_u64()), (Some(5), Some(3)), "{report}");
    assert_eq!(report["slices"], 4);
    let list = fs::read_to_string(folder.path().join("mels/skipped.jsonl")).unwrap();
    let skipped: Vec<serde_json::Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (entry, name) in skipped.iter().zip(["empty.wav", "header.wav", "page.mp3"]) {
        assert!(entry["audio_file"].as_str().unwrap().ends_with(name), "{entry}");
        let reason = entry["reason"].as_str().unwrap();
        assert!(!reason.is_empty() && !reason.contains(name), "the path stands in the reason too: {reason}");
        assert!(done.stderr.contains(&format!("warning: skipped music/{name}: {reason}")), "{}", done.stderr);
    }
    assert!(!done.stderr.contains('\u{1b}'), "colours without a terminal: {:?}", done.stderr);
}

#[test]
fn quiet_is_quiet_and_the_configuration_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    tone(folder.path(), "music/a.wav", 0, 0.5);
    let first = prepare(folder.path(), &["--input-dir", "music", "--output-dir", "mels", "-q"]).ends_with(0);
    assert_eq!((first.stdout, first.stderr), (String::new(), String::new()));
    let again = ["prepare", "--config", "mels/nocturne.yaml", "--output-dir", "again"];
    run(folder.path(), &again).ends_with(0);
    assert!(data(&folder.path().join("mels")) == data(&folder.path().join("again")));
}

#[test]
fn a_dataset_that_is_there_stays_until_overwriting_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    tone(folder.path(), "music/a.wav", 0, 0.5);
    let flags = ["--input-dir", "music", "--output-dir", "mels"];
    prepare(folder.path(), &flags).ends_with(0);
    let before = contents(&folder.path().join("mels"));
    let other = [&flags[..], &["--hop-length", "128"]].concat();
    prepare(folder.path(), &other).ends_with(2).complains(&["mels holds a dataset already", "hint: `--overwrite`"]);
    assert!(contents(&folder.path().join("mels")) == before);
    let parquet = [&other[..], &["--overwrite", "--format", "parquet"]].concat();
    prepare(folder.path(), &parquet).ends_with(0);
    assert!(folder.path().join("mels/data/train-00000-of-00001.parquet").is_file());
    assert!(!folder.path().join("mels/train").exists());
}

#[test]
fn what_there_is_nothing_to_make_of_is_a_wrong_argument() {
    let folder = tempfile::tempdir().unwrap();
    tone(folder.path(), "music/a.wav", 0, 0.5);
    fs::create_dir(folder.path().join("empty")).unwrap();
    let cases: [(&[&str], &str); 12] = [
        (&["--input-dir", "empty"], "no audio files"),
        (&["--input-dir", "nowhere"], "nowhere"),
        (&["--input-dir", "music/a.wav"], "a.wav"),
        (&[], "--input-dir"),
        (&["--input-dir", "music", "--resolution", "0"], "W,H"),
        (&["--input-dir", "music", "--hop-length", "0"], "hop_length is 0"),
        (&["--input-dir", "music", "--resolution", "99999999"], "x_res"),
        (&["--input-dir", "music", "--reference-level", "nan"], "finite"),
        (&["--input-dir", "music", "--reference-level", "0"], "above 0"),
        (&["--input-dir", "music", "--shard", "3/2"], "3/2"),
        (&["--input-dir", "music", "--mel-spec-method", "bigvgan", "--bigvgan-model", "no"], "bigvgan_v2_44khz"),
        (&["--input-dir", "music", "--mel-spec-method", "bigvgan", "--resolution", "16,17"], "expected the 128"),
    ];
    for (arguments, word) in cases {
        let run = prepare(folder.path(), &[&["--output-dir", "mels"][..], arguments].concat());
        run.ends_with(2).complains(&["error: ", word]);
        assert!(!folder.path().join("mels/nocturne.yaml").exists());
    }
    prepare(folder.path(), &["--input-dir", "music"]).ends_with(2).complains(&["--output-dir"]);
}

#[test]
fn shards_merge_to_the_whole_with_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..5 {
        tone(folder.path(), &format!("music/{index}.wav"), index, 0.4);
    }
    for shard in ["1", "2"] {
        let flags = ["--input-dir", "music", "--output-dir", &format!("s{shard}"), "--shard", &format!("{shard}/2")];
        prepare(folder.path(), &flags).ends_with(0);
    }
    let merge = ["prepare", "--merge", "s2", "s1", "--output-dir", "merged"];
    let merged = run(folder.path(), &[&merge[..], &["--json"]].concat()).ends_with(0).json();
    assert_eq!(merged["files"], 5);
    let resolved = fs::read_to_string(folder.path().join("merged/nocturne.yaml")).unwrap();
    assert!(resolved.contains("hop_length: 256"), "{resolved}");
    run(folder.path(), &merge).ends_with(2).complains(&["merged holds a dataset already"]);
    let mixed = ["prepare", "--merge", "s1", "s2", "--output-dir", "x", "--resolution", "32"];
    run(folder.path(), &mixed).ends_with(2).complains(&["--resolution"]);
    let half = ["prepare", "--merge", "s1", "--output-dir", "x"];
    run(folder.path(), &half).ends_with(2).complains(&["each of 1 to 2 once"]);
}

/// Ctrl-C in the middle of a job, and the same command once more.
#[cfg(unix)]
#[test]
fn an_interrupted_job_continues() {
    use super::support::SMALL_MEL;
    use std::process::Command;
    use std::time::{Duration, Instant};
    let folder = tempfile::tempdir().unwrap();
    for index in 0..12 {
        tone(folder.path(), &format!("music/{index:02}.wav"), index, 20.0);
    }
    let flags = ["--input-dir", "music", "--threads", "1"];
    let one = [&["prepare"][..], &SMALL_MEL, &flags, &["--output-dir", "one"]].concat();
    let child = nocturne(folder.path(), &one).spawn().unwrap();
    let journal = folder.path().join("one/.prepare/journal.jsonl");
    let started = Instant::now();
    while fs::metadata(&journal).map_or(0, |file| file.len()) == 0 && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert_eq!(stderr.matches("the same command continues").count(), 1, "{stderr}");
    assert!(!folder.path().join("one/train").exists());
    prepare(folder.path(), &[&flags[..], &["--output-dir", "one", "--hop-length", "128"]].concat())
        .ends_with(2)
        .complains(&["interrupted run had another"]);
    run(folder.path(), &one).ends_with(0);
    assert!(!folder.path().join("one/.prepare").exists());
    prepare(folder.path(), &[&flags[..], &["--output-dir", "two"]].concat()).ends_with(0);
    assert!(data(&folder.path().join("one")) == data(&folder.path().join("two")));
}
