//! `nocturne evaluate kld|inception|clap|clas`: with the small networks of [`super::embedders`], and with predictions from files.

use super::embedders::music_and_weights;
use super::evaluate::{evaluate, read, rows};
use nocturne::npy;
use serde_json::Value;
use std::fs;
use std::path::Path;

const HEARD: [&str; 5] = ["--weights-dir", "weights", "--cache", "kept", "--json"];
const CLASSIFIED: [&str; 5] = ["--weights", "weights/cnn14.safetensors", "--cache", "kept", "--json"];

fn metrics(rows: &[Value]) -> Vec<(&str, f64)> {
    rows.iter().map(|row| (row["metric"].as_str().unwrap(), row["value"].as_f64().unwrap())).collect()
}

fn interval_holds(row: &Value) -> bool {
    let [low, value, high] = [&row["interval"]["low"], &row["value"], &row["interval"]["high"]].map(Value::as_f64);
    low <= value && value <= high && low < high
}

/// Files of logits whose softmax is the published example's.
fn predictions(folder: &Path, name: &str, clips: &[(&str, &[[f64; 3]])]) {
    for (clip, rows) in clips {
        let file = folder.join(name).join(clip);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let logits: Vec<f32> = rows.iter().flatten().map(|probability| probability.ln() as f32).collect();
        npy::write(&file, &[rows.len(), 3], &logits).unwrap();
    }
}

#[test]
fn divergences_of_predictions_are_the_published_ones() {
    let folder = tempfile::tempdir().unwrap();
    // stable-audio-metrics' own example.
    let (p, q) = ([0.1, 0.4, 0.5], [0.8, 0.15, 0.05]);
    predictions(folder.path(), "ref", &[("a.npy", &[q]), ("sub/b.npy", &[q, p]), ("c.npy", &[p])]);
    predictions(folder.path(), "gen", &[("a.npy", &[p]), ("b.npy", &[p, p]), ("d.npy", &[p])]);
    let sets = ["kld", "--reference", "ref", "--generated", "gen", "--output", "out/r.json", "--json"];
    let kld = |pooling: &str| {
        let run = evaluate(folder.path(), &[&sets[..], &["--pooling", pooling]].concat()).ends_with(3);
        rows(&run.complains(&["1 file left out"]))
    };
    let found = kld("segments,max");
    let names: Vec<_> = metrics(&found).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["kld_ref_gen_segments", "kld_gen_ref_segments", "kld_ref_gen_max", "kld_gen_ref_max"]);
    let divergence = |truth: [f64; 3], told: [f64; 3]| -> f64 {
        truth.iter().zip(told).map(|(truth, told)| truth * (truth.ln() - (told + 1e-6).ln())).sum()
    };
    assert!((divergence(p, q) - 1.335_667_371_749_878).abs() < 1e-6);
    // Three segments: q against p, and in b also p against p.
    for (row, expected) in found[..2].iter().zip([divergence(q, p), divergence(p, q)]) {
        let expected = (2.0 * expected + divergence(p, p)) / 3.0;
        assert!((row["value"].as_f64().unwrap() - expected).abs() < 1e-5, "{row} {expected}");
        assert_eq!(row["details"]["pairs"], 2);
    }
    let skipped = fs::read_to_string(folder.path().join("out/skipped.jsonl")).unwrap();
    assert!(skipped.lines().count() == 1 && skipped.contains("gen/d.npy") && skipped.contains("in ref"), "{skipped}");
    assert_eq!(read(folder.path(), "out/r.json")["unpaired"].as_array().unwrap().len(), 2);

    predictions(folder.path(), "other", &[("x.npy", &[p])]);
    let strangers = ["kld", "--reference", "ref", "--generated", "other", "-q"];
    evaluate(folder.path(), &strangers).ends_with(2).complains(&["no two clips have one name", "x.npy"]);
}

#[test]
fn a_classifier_is_loaded_once_and_its_predictions_are_kept() {
    let folder = music_and_weights();
    let sets = ["--reference", "low", "--generated", "more", "--output", "r.json"];
    let kld = || rows(&evaluate(folder.path(), &[&["kld"][..], &sets, &CLASSIFIED].concat()).ends_with(3));
    let found = kld();
    let expected =
        ["segments", "whole", "mean"].map(|way| [format!("kld_ref_gen_{way}"), format!("kld_gen_ref_{way}")]);
    assert_eq!(metrics(&found).iter().map(|(name, _)| *name).collect::<Vec<_>>(), expected.concat());
    // Clips of one name are the same recordings here.
    assert!(metrics(&found).iter().all(|(_, value)| value.abs() < 1e-4), "{found:?}");
    let report = read(folder.path(), "r.json");
    // Of three the references' are the same bytes.
    assert_eq!((&report["generated"][2]["clips"], &report["generated"][2]["cached"]), (&5.into(), &3.into()));
    assert_eq!(kld(), found);
    assert_eq!(read(folder.path(), "r.json")["generated"][2]["cached"], 5);

    let inception = [&["inception", "--generated", "more", "low", "--output", "i.json"][..], &CLASSIFIED].concat();
    let scores = rows(&evaluate(folder.path(), &inception).ends_with(0));
    assert_eq!(scores.len(), 2);
    // Between one class for all and a class each.
    assert!(metrics(&scores).iter().all(|(name, value)| *name == "inception" && (0.999..=7.0).contains(value)));
    assert!(scores[0]["reference"].is_null() && scores[0]["interval"]["low"].is_number(), "{}", scores[0]);
    assert_eq!(read(folder.path(), "i.json")["generated"][0]["cached"], 5);
}

#[test]
fn captions_find_their_clips_by_name() {
    let folder = music_and_weights();
    let captions = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    captions("c.json", r#"{"0.wav": "A soft piano melody.", "1": "rain", "2.mp3": "rain", "lost": "nothing"}"#);
    let clap = |file: &str, set: &str, more: &[&str]| {
        let fixed = ["clap", "--generated", set, "--captions", file, "--output", "r.json", "--csv", "r.csv"];
        evaluate(folder.path(), &[&fixed[..], &HEARD, more].concat())
    };
    let row = clap("c.json", "more", &["--per-song", "songs.csv"]).ends_with(3).json();
    assert_eq!((&row["model"], &row["reference"]), (&"clap-laion-music-clip".into(), &"c.json".into()));
    assert!(row["details"]["pairs"] == 3 && interval_holds(&row), "{row}");
    let report = read(folder.path(), "r.json");
    let songs: Vec<(&Value, f64)> = report["songs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|song| (&song["clip"], song["value"].as_f64().unwrap()))
        .collect();
    assert_eq!(songs.iter().map(|song| song.0).collect::<Vec<_>>(), ["0.wav", "1.wav", "2.wav"]);
    let mean = songs.iter().map(|song| song.1).sum::<f64>() / 3.0;
    assert!((row["value"].as_f64().unwrap() - mean).abs() < 1e-12);
    let alone: Vec<_> =
        report["unpaired"].as_array().unwrap().iter().map(|of| of["audio_file"].as_str().unwrap()).collect();
    assert_eq!(alone, ["more/3.wav", "more/4.wav", "more/lost"]);
    assert_eq!(fs::read_to_string(folder.path().join("songs.csv")).unwrap().lines().count(), 4);

    // In another order, under the names of MusicCaps, and from the cache: the same clips, the same score.
    captions("m.csv", "ytid,start_s,caption\n2,0,rain\n1,0,rain\n0,0,A soft piano melody.\n");
    let again = clap("m.csv", "low", &[]).ends_with(0).json();
    assert_eq!(again["value"], row["value"]);
    assert_eq!(read(folder.path(), "r.json")["generated"][0]["cached"], 3);
    // The captions' vectors were kept, too: without the tokenizer they could not be made.
    let kept = fs::read_dir(folder.path().join("kept")).unwrap().flatten();
    assert!(kept.into_iter().any(|entry| entry.file_name().to_string_lossy().contains("-text-")));

    captions("x.json", r#"{"a": "b"}"#);
    clap("x.json", "low", &["-q"]).ends_with(2).complains(&["no clip has the id of a caption", "\"a\"", "0.wav"]);
    fs::remove_file(folder.path().join("weights/clap-laion-music/tokenizer.json")).unwrap();
    clap("c.json", "low", &["-q"]).ends_with(2).complains(&["tokenizer.json", "roberta-base", "--weights-dir"]);
}

#[test]
fn clas_is_half_of_either_score() {
    let folder = music_and_weights();
    fs::write(
        folder.path().join("c.json"),
        r#"{"0": "rain", "1": "wind", "2": "soft piano", "3": "low", "4": "slow"}"#,
    )
    .unwrap();
    let clas = |map: &[&str]| {
        let sets = ["clas", "--reference", "low", "high", "--generated", "more", "--captions", "c.json"];
        evaluate(folder.path(), &[&sets[..], &["--models", "pooled-mel", "--bootstrap", "20"], &HEARD, map].concat())
    };
    let found = rows(&clas(&["--map", "linear", "--zero", "1000"]).ends_with(0));
    let names: Vec<_> = metrics(&found).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["clap", "fad", "fas", "clas", "fad", "fas", "clas"]);
    let value = |index: usize| found[index]["value"].as_f64().unwrap();
    for first in [1, 4] {
        assert!((value(first + 1) - (1.0 - value(first) / 1000.0).max(0.0)).abs() < 1e-12);
        assert!((value(first + 2) - f64::midpoint(value(0), value(first + 1))).abs() < 1e-12);
        assert!(found[first + 2]["interval"]["standard_error"].as_f64().unwrap() > 0.0);
    }
    let inverse = rows(&clas(&["--map", "inverse"]).ends_with(0));
    assert!((inverse[2]["value"].as_f64().unwrap() - 1.0 / (1.0 + value(1))).abs() < 1e-12);
    assert_eq!(inverse[3]["details"]["map"], "inverse");
    clas(&["--map", "linear"]).ends_with(2).complains(&["--zero"]);
}

#[test]
fn a_page_shows_the_numbers_the_map_and_what_stands_out() {
    let folder = music_and_weights();
    let sets = ["fad", "--reference", "low", "--generated", "more", "high", "--models", "pooled-mel,vggish"];
    let files = ["--output", "r.json", "--report", "out/r.html"];
    evaluate(folder.path(), &[&sets[..], &files, &HEARD].concat()).ends_with(0);
    let page = fs::read_to_string(folder.path().join("out/r.html")).unwrap();
    for text in [
        "fad: pooled-mel",
        "fad: vggish",
        "against low",
        "Where the clips lie: vggish",
        "Best of more",
        "Worst of high",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // Three outliers of either set, the best and the worst of three and of five, under both models, three at most.
    assert_eq!(page.matches("<audio").count(), 2 * 3 + 2 * (5 + 3));
    assert!(!page.contains("://"));
    let report = read(folder.path(), "r.json");
    let map = &report["maps"][0];
    assert_eq!((&map["model"], &map["sets"][0]["is_reference"]), (&"pooled-mel".into(), &true.into()));
    let farness = |set: usize, clip: usize| map["sets"][set]["clips"][clip]["farness"].as_f64().unwrap();
    // The references' own recordings are among `more`, and `high` is far.
    assert!((farness(0, 0) - farness(1, 0)).abs() < 1e-9 && farness(2, 0) > 3.0 * farness(1, 0), "{map}");
    let explained: f64 = map["explained"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).sum();
    assert!(explained > 0.5 && explained <= 1.0 + 1e-9, "{explained}");
    let kld = ["kld", "--reference", "low", "--generated", "low", "--pooling", "whole", "--report", "k.html"];
    evaluate(folder.path(), &[&kld[..], &CLASSIFIED].concat()).ends_with(0);
    assert!(fs::read_to_string(folder.path().join("k.html")).unwrap().contains("kld_gen_ref_whole"));
}
