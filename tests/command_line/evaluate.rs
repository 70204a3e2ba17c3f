use super::support::{Run, contents, run, tone};
use nocturne::npy;
use nocturne_vocoder::audio::{Audio, SampleFormat};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Folders `low/` and `high/` of three recordings each, and `more/` of five, all of different chords.
pub fn music() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (set, indices) in [("low", 0..3), ("high", 20..23), ("more", 0..5)] {
        for index in indices {
            tone(folder.path(), &format!("{set}/{index}.wav"), index, 2.0 + index as f32 / 10.0);
        }
    }
    folder
}

pub fn evaluate(folder: &Path, arguments: &[&str]) -> Run {
    run(folder, &[&["evaluate"][..], arguments].concat())
}

pub fn rows(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn value(folder: &Path, arguments: &[&str]) -> f64 {
    let fixed = ["fad", "--json", "--bootstrap", "0", "--cache", "cache"];
    evaluate(folder, &[&fixed[..], arguments].concat()).ends_with(0).json()["value"].as_f64().unwrap()
}

#[test]
fn many_sets_against_many_references_are_one_table() {
    let folder = music();
    let sets = ["--reference", "low", "high", "--generated", "low", "more", "--no-cache", "--json"];
    let files = ["--output", "out/a.json", "--csv", "out/a.csv", "--per-song", "out/songs.csv"];
    let found = rows(&evaluate(folder.path(), &[&["fad"][..], &sets, &files].concat()).ends_with(0));
    let names: Vec<_> = found.iter().map(|row| (row["generated"].as_str(), row["reference"].as_str())).collect();
    let pairs = [("low", "low"), ("low", "high"), ("more", "low"), ("more", "high")];
    assert_eq!(names, pairs.map(|(generated, reference)| (Some(generated), Some(reference))));
    let numbers: Vec<f64> = found.iter().map(|row| row["value"].as_f64().unwrap()).collect();
    // The low chords are nearer to themselves and to more of them than to the high ones.
    assert!(numbers[0] < 1e-9 * numbers[1] && numbers[2] < numbers[1] && numbers[2] < numbers[3], "{numbers:?}");
    let interval = &found[3]["interval"];
    assert!(interval["low"].as_f64().unwrap() < interval["high"].as_f64().unwrap(), "{interval}");

    let report = read(folder.path(), "out/a.json");
    assert_eq!(report["results"].as_array().unwrap().len(), 4);
    let result = &report["results"][2];
    assert_eq!(
        (&result["model"], &result["metric"], &result["clips"]),
        (&"pooled-mel".into(), &"fad".into(), &5.into())
    );
    assert_eq!(report["settings"]["bootstrap"]["seed"], 0);
    assert_eq!(report["generated"][1]["vectors"], result["vectors"]);
    assert_eq!(report["generated"][0]["sha256"], report["references"][0]["sha256"]);
    assert_ne!(report["generated"][0]["sha256"], report["generated"][1]["sha256"]);
    assert_eq!(report["songs"].as_array().unwrap().len(), 2 * 3 + 2 * 5);
    assert_eq!(fs::read_to_string(folder.path().join("out/a.csv")).unwrap().lines().count(), 5);
    let songs = fs::read_to_string(folder.path().join("out/songs.csv")).unwrap();
    assert!(songs.lines().count() == 17 && songs.contains("4.wav"), "{songs}");

    let first = contents(&folder.path().join("out"));
    evaluate(folder.path(), &[&["fad"][..], &sets, &files].concat()).ends_with(0);
    assert!(contents(&folder.path().join("out")) == first, "two runs differ");
    let people =
        evaluate(folder.path(), &["fad", "--reference", "low", "--generated", "high", "--no-cache"]).ends_with(0);
    assert!(people.stdout.contains("high against low") && people.stdout.contains('['), "{}", people.stdout);
}

#[test]
fn audio_embeddings_and_statistics_give_one_distance() {
    let folder = music();
    let expected = value(folder.path(), &["--reference", "low", "--generated", "high"]);
    for set in ["low", "high"] {
        let embed = ["embed", "--input", set, "--output-dir", &format!("{set}-npy"), "--no-cache", "-q"];
        evaluate(folder.path(), &embed).ends_with(0);
        let stats = ["stats", "--input", &format!("{set}-npy"), "--output", &format!("{set}.npz"), "-q"];
        evaluate(folder.path(), &stats).ends_with(0);
        let fadtk =
            ["embed", "--input", set, "--output-dir", &format!("{set}-fadtk"), "--layout", "fadtk", "--no-cache", "-q"];
        evaluate(folder.path(), &fadtk).ends_with(0);
        fs::rename(
            folder.path().join(format!("{set}-fadtk/embeddings/pooled-mel")),
            folder.path().join(format!("{set}-fadtk/embeddings/vggish")),
        )
        .unwrap();
    }
    let vectors = npy::read::<f32>(&folder.path().join("low-npy/0.npy")).unwrap();
    assert_eq!(vectors.shape, [3, 64]);
    for (reference, generated) in
        [("low-npy", "high-npy"), ("low.npz", "high-npy"), ("low.npz", "high.npz"), ("low", "high.npz")]
    {
        let found = value(folder.path(), &["--reference", reference, "--generated", generated]);
        assert!((found - expected).abs() < 1e-9 * expected, "{reference} {generated}: {found} {expected}");
    }
    // fadtk's folder, whose vectors have 16 bits.
    let fadtk = ["--reference", "low-fadtk", "--generated", "high-fadtk"];
    let found = value(folder.path(), &fadtk);
    assert!((found - expected).abs() < 1e-2 * expected && found != expected, "{found} {expected}");
    let stats = ["stats", "--input", "low-fadtk", "--models", "vggish", "--output", "low-fadtk", "-q"];
    evaluate(folder.path(), &stats).ends_with(0);
    let loose = value(
        folder.path(),
        &["--reference", "low-fadtk/stats/vggish", "--generated", "high-fadtk", "--models", "vggish"],
    );
    assert!((loose - found).abs() < 1e-9 * found, "{loose} {found}");
}

#[test]
fn statistics_of_parts_merge_into_those_of_the_whole() {
    let folder = music();
    evaluate(folder.path(), &["stats", "--input", "more", "--output", "whole.npz", "--no-cache", "-q"]).ends_with(0);
    for shard in ["1/3", "2/3", "3/3"] {
        let output = format!("part{}.npz", &shard[..1]);
        let stats = ["stats", "--input", "more", "--output", &output, "--shard", shard, "--no-cache", "-q"];
        evaluate(folder.path(), &stats).ends_with(0);
    }
    let merge = ["merge", "--input", "part1.npz", "part2.npz", "part3.npz", "--output", "merged.npz", "--json"];
    let merged = evaluate(folder.path(), &merge).ends_with(0).json();
    assert_eq!(merged["merged"]["vectors"], 5 * 3, "{merged}");
    let to = |set: &str| value(folder.path(), &["--reference", "high", "--generated", set]);
    let (whole, merged, part) = (to("whole.npz"), to("merged.npz"), to("part1.npz"));
    assert!((whole - merged).abs() < 1e-9 * whole && part != whole, "{whole} {merged} {part}");
}

/// The sets whose distances NumPy computed, as in the tests of `nocturne-evaluation`.
#[test]
fn fadtk_rounding_gives_fadtks_number() {
    let folder = tempfile::tempdir().unwrap();
    let set = |name: &str, count: usize, of: &dyn Fn(f64, f64) -> f64| {
        let values: Vec<f32> = (0..count * 8).map(|index| of((index / 8) as f64, (index % 8) as f64) as f32).collect();
        fs::create_dir_all(folder.path().join(name)).unwrap();
        npy::write(&folder.path().join(name).join("all.npy"), &[count, 8], &values).unwrap();
    };
    set("x", 200, &|i, j| (0.37 * i + 1.3 * j).sin() + 0.5 * (0.11 * i * (j + 1.0)).cos());
    set("y", 150, &|i, j| (0.41 * i + 0.9 * j).sin() + 0.3 * (0.11 * i * (j + 1.0)).cos() + 0.1);
    let sets = ["--reference", "x", "--generated", "y"];
    assert!((value(folder.path(), &sets) - 2.945_572_547_241_63).abs() < 1e-6);
    let rounded = value(folder.path(), &[&sets[..], &["--fadtk-compat"]].concat());
    assert!((rounded - 2.945_590_507_537_563_2).abs() < 1e-9, "{rounded}");

    let kad = [&["kad", "--metrics", "kad,kid,prdc", "--json"][..], &sets].concat();
    let found = rows(&evaluate(folder.path(), &kad).ends_with(0));
    let names: Vec<_> = found.iter().map(|row| row["metric"].as_str().unwrap()).collect();
    assert_eq!(names, ["kad", "kid", "precision", "recall", "density", "coverage"]);
    assert!((found[0]["value"].as_f64().unwrap() - 3.612_061_269_607_025_3).abs() < 1e-5, "{}", found[0]);
    let theirs = evaluate(folder.path(), &[&["kad", "--bandwidth", "generated", "--json"][..], &sets].concat());
    assert!((theirs.json()["value"].as_f64().unwrap() - 4.046_790_921_251_908).abs() < 1e-5);
}

#[test]
fn a_changed_file_is_heard_again_and_a_renamed_one_is_not() {
    let folder = music();
    let cached = |expected: [usize; 2]| {
        let sets = ["--reference", "low", "--generated", "more", "--output", "r.json", "-q", "--cache", "kept"];
        evaluate(folder.path(), &[&["fad"][..], &sets].concat()).ends_with(0);
        let report = read(folder.path(), "r.json");
        let found =
            [&report["references"][0], &report["generated"][0]].map(|set| set["cached"].as_u64().unwrap() as usize);
        assert_eq!(found, expected);
        report["results"][0]["value"].as_f64().unwrap()
    };
    // Three of `more` are the same recordings as those of `low`.
    let first = cached([0, 3]);
    assert_eq!(cached([3, 5]), first);
    fs::rename(folder.path().join("more/4.wav"), folder.path().join("more/z.wav")).unwrap();
    assert_eq!(cached([3, 5]), first);
    tone(folder.path(), "more/3.wav", 9, 2.0);
    assert_ne!(cached([3, 4]), first);
    // Other ways to hear are other vectors.
    let sets =
        ["--reference", "low", "--generated", "more", "--output", "r.json", "-q", "--cache", "kept", "--level", "0.1"];
    evaluate(folder.path(), &[&["fad"][..], &sets].concat()).ends_with(0);
    assert_eq!(read(folder.path(), "r.json")["references"][0]["cached"], 0);
}

#[test]
fn clips_of_one_level_compare_without_it() {
    let folder = music();
    for index in 0..3 {
        let path = folder.path().join(format!("low/{index}.wav"));
        let mut audio = Audio::decode(&path).unwrap();
        audio.channels[0].iter_mut().for_each(|sample| *sample *= 0.25);
        fs::create_dir_all(folder.path().join("soft")).unwrap();
        // In floats: the noise of 16 bits is what sounds where the chord does not.
        audio.write_as(&folder.path().join(format!("soft/{index}.wav")), SampleFormat::Float32).unwrap();
    }
    let sets = ["--reference", "low", "--generated", "soft"];
    let plain = value(folder.path(), &sets);
    let levelled = value(folder.path(), &[&sets[..], &["--level", "0.1"]].concat());
    assert!(levelled * 20.0 < plain, "{levelled} {plain}");
    let report = evaluate(
        folder.path(),
        &["embed", "--input", "low", "--output-dir", "e", "--clip-seconds", "0.5", "--no-cache", "--json"],
    );
    // Of 2.0, 2.1 and 2.2 seconds, four clips each, of one vector each.
    assert_eq!(report.ends_with(0).json()["set"]["vectors"], 12);
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = music();
    fs::write(folder.path().join("more/b.wav"), b"RIFF, or so").unwrap();
    tone(folder.path(), "more/short.wav", 1, 0.005);
    let sets = ["--reference", "low", "--generated", "more", "--output", "out/r.json", "--no-cache"];
    evaluate(folder.path(), &[&["fad"][..], &sets].concat()).ends_with(3).complains(&["b.wav", "2 files left out"]);
    let skipped = fs::read_to_string(folder.path().join("out/skipped.jsonl")).unwrap();
    assert!(
        skipped.lines().count() == 2 && skipped.contains("short.wav") && skipped.contains("too short"),
        "{skipped}"
    );
    assert_eq!(read(folder.path(), "out/r.json")["results"][0]["clips"], 5);

    let nothing = folder.path().join("nothing");
    fs::create_dir_all(&nothing).unwrap();
    fs::write(folder.path().join("bad.npz"), b"no zip").unwrap();
    evaluate(folder.path(), &["stats", "--input", "low", "--output", "low.npz", "--no-cache", "-q"]).ends_with(0);
    fs::create_dir_all(folder.path().join("narrow")).unwrap();
    npy::write(&folder.path().join("narrow/1.npy"), &[4, 2], &[0.0_f32, 1.0, 2.0, 5.0, 3.0, 1.0, 2.0, 2.0]).unwrap();
    let cases: [(&[&str], i32, &[&str]); 9] = [
        (&["fad", "--reference", "missing", "--generated", "low"], 2, &["missing"]),
        (&["fad", "--reference", "nothing", "--generated", "low"], 2, &["nothing", "no audio", "a set is"]),
        (
            &["fad", "--reference", "low", "--generated", "low", "--models", "vggish", "--weights-dir", "w"],
            2,
            &["vggish needs vggish-10086976.pth", "https://", "w/vggish-10086976.pth", "--weights-dir"],
        ),
        (
            &["fad", "--reference", "low", "--generated", "low", "--models", "vgish"],
            2,
            &["vgish", "pooled-mel, vggish"],
        ),
        (&["fad", "--reference", "bad.npz", "--generated", "low"], 1, &["bad.npz", "not an npz file"]),
        (
            &["fad", "--reference", "low.npz", "--generated", "narrow", "--models", "x"],
            2,
            &["x.mu", "pooled-mel.mu", "--models"],
        ),
        (&["fad", "--reference", "low", "--generated", "low", "--inf"], 2, &["FAD-inf needs more than 500"]),
        (&["kad", "--reference", "low.npz", "--generated", "low"], 2, &["low.npz", "not statistics"]),
        (&["fad", "--reference", "low.npz", "--generated", "narrow"], 2, &["narrow", "2 dimensions", "64"]),
    ];
    for (arguments, code, words) in cases {
        evaluate(folder.path(), &[arguments, &["--cache", "cache", "-q"]].concat()).ends_with(code).complains(words);
    }
}
