//! `nocturne evaluate` with networks: small ones of random weights, in the files that the published ones are in.

use super::evaluate::{evaluate, music, read, rows};
use burn::tensor::Device;
use nocturne::npy;
use nocturne_models::checkpoint::{self, Checkpoint};
use nocturne_models::panns::Cnn14;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures").join(name)
}

/// A folder of recordings, and in `weights/` VGGish and CLAP under their published names, and Cnn14.
pub fn music_and_weights() -> tempfile::TempDir {
    let folder = music();
    let weights = folder.path().join("weights");
    fs::create_dir_all(weights.join("clap-laion-music")).unwrap();
    fs::copy(fixture("vggish/vggish.pth"), weights.join("vggish-10086976.pth")).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        let to = weights.join("clap-laion-music").join(name);
        fs::copy(fixture("clap/transformers").join(name), to).unwrap();
    }
    // The fixture's tables are those of another front end.
    let network = Cnn14::load(Checkpoint::open(&fixture("panns/cnn14.pth")).unwrap(), &Device::flex()).unwrap();
    checkpoint::save(&network, &weights.join("cnn14.safetensors")).unwrap();
    folder
}

const MODELS: [&str; 4] = ["vggish", "vggish-google", "clap-laion-music", "pooled-mel"];

#[test]
fn several_models_hear_each_file_once() {
    let folder = music_and_weights();
    let fad = |models: &str, cache: &str| {
        let sets = ["--reference", "low", "--generated", "high", "more", "--weights-dir", "weights", "--cache", cache];
        let output = ["--models", models, "--output", "r.json", "--bootstrap", "10", "--json"];
        rows(&evaluate(folder.path(), &[&["fad"][..], &sets, &output].concat()).ends_with(0))
    };
    let together = fad(&MODELS.join(","), "kept");
    let report = read(folder.path(), "r.json");
    let names: Vec<_> = together.iter().map(|row| (row["model"].as_str(), row["generated"].as_str())).collect();
    let expected = MODELS.iter().flat_map(|model| ["high", "more"].map(|set| (Some(*model), Some(set))));
    assert_eq!(names, expected.collect::<Vec<_>>());
    let weights = report["weights"].as_array().unwrap();
    assert_eq!(weights.iter().map(|of| &of["model"]).collect::<Vec<_>>(), MODELS[..3].iter().collect::<Vec<_>>());
    assert!(weights.iter().all(|of| of["sha256"].as_str().unwrap().len() == 64), "{weights:?}");
    let dims: Vec<_> = report["references"].as_array().unwrap().iter().map(|set| &set["dim"]).collect();
    assert_eq!(dims, [12, 12, 12, 64]);

    // A model alone, without what was kept, says the same.
    let alone: Vec<_> = MODELS.iter().flat_map(|model| fad(model, "other")).collect();
    assert_eq!(alone, together);
    // What was kept is enough: weights that cannot be loaded are not asked for, and other weights are other vectors.
    assert_eq!(fad(&MODELS.join(","), "kept"), together);
    assert_eq!(read(folder.path(), "r.json")["references"][0]["cached"], 3);
    fs::write(folder.path().join("weights/vggish-10086976.pth"), "nothing").unwrap();
    let sets = ["fad", "--reference", "low", "--generated", "high", "--weights-dir", "weights", "--cache", "kept"];
    evaluate(folder.path(), &[&sets[..], &["--models", "vggish"]].concat())
        .ends_with(1)
        .complains(&["vggish-10086976"]);
}

#[test]
fn embeddings_of_a_model_are_its_own_in_all_commands() {
    let folder = music_and_weights();
    let heard = ["--model", "vggish", "--weights", "weights/vggish-10086976.pth", "--no-cache", "-q"];
    let embed = ["embed", "--input", "more", "--output-dir", "e"];
    evaluate(folder.path(), &[&embed[..], &heard].concat()).ends_with(0);
    // 2.0 to 2.4 seconds: two examples of 0.96 s each.
    assert_eq!(npy::read::<f32>(&folder.path().join("e/4.npy")).unwrap().shape, [2, 12]);
    let stats = ["stats", "--input", "more", "--output", "s.npz", "--models", "vggish,clap-laion-music"];
    let stats = [&stats[..], &["--weights-dir", "weights", "--no-cache", "--json"]].concat();
    let measured = rows(&evaluate(folder.path(), &stats).ends_with(0));
    let counts: Vec<_> = measured.iter().map(|set| &set["set"]["vectors"]).collect();
    assert_eq!(counts, [10, 15]);
    let compare = |reference: &str| {
        let sets = ["fad", "--reference", reference, "--generated", "e", "--models", "vggish", "--bootstrap", "0"];
        let run = evaluate(folder.path(), &[&sets[..], &["--weights-dir", "weights", "--json"]].concat());
        run.ends_with(0).json()["value"].as_f64().unwrap()
    };
    assert!(compare("s.npz") < 1e-9 && compare("more") < 1e-9);
    let kad = ["kad", "--reference", "low", "--generated", "e", "--models", "vggish", "--weights-dir", "weights"];
    let row = evaluate(folder.path(), &[&kad[..], &["--json", "--no-cache"]].concat()).ends_with(0).json();
    assert_eq!((&row["model"], &row["vectors"]), (&"vggish".into(), &10.into()));
}

#[test]
fn a_manifest_says_which_clips_are_the_reference() {
    let folder = music();
    fs::write(folder.path().join("m.csv"), "ytid,start_s,caption\n0,30,low\n4,30,slow\ngone,0,quiet\n").unwrap();
    let sets = ["--reference", "more", "--generated", "high", "--manifest", "m.csv", "--output", "out/r.json"];
    evaluate(folder.path(), &[&["fad", "--no-cache"][..], &sets].concat()).ends_with(3).complains(&["1 file left out"]);
    let report = read(folder.path(), "out/r.json");
    assert_eq!((&report["references"][0]["clips"], &report["generated"][0]["clips"]), (&2.into(), &3.into()));
    let skipped = fs::read_to_string(folder.path().join("out/skipped.jsonl")).unwrap();
    assert!(skipped.contains("more/gone") && skipped.contains("m.csv"), "{skipped}");
    let stats = ["stats", "--input", "more", "--manifest", "m.csv", "--output", "s.npz", "--no-cache", "--json"];
    assert_eq!(evaluate(folder.path(), &stats).ends_with(3).json()["set"]["clips"], 2);
}
