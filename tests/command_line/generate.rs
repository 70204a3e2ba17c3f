use super::support::{contents, run, with_model};
use nocturne::npy;
use std::fs;
use std::path::Path;

const QUICK: [&str; 6] = ["generate", "--num-inference-steps", "3", "--n-iter", "2", "--quiet"];

fn generate(folder: &Path, arguments: &[&str]) -> super::support::Run {
    run(folder, &[&QUICK[..], &["--model", with_model().join("model").to_str().unwrap()], arguments].concat())
}

/// Mels, pictures and audio.
fn clips(folder: &Path) -> impl PartialEq + use<> {
    let mut files = contents(folder);
    files.retain(|path, _| path.components().count() == 2 && !path.ends_with("mel_config.json"));
    assert!(files.len() >= 3, "{}", folder.display());
    files
}

#[test]
fn a_seed_gives_the_same_bytes_in_any_batch() {
    let folder = tempfile::tempdir().unwrap();
    for (name, batch) in [("one", "1"), ("two", "2"), ("all", "16")] {
        let flags = ["--output-dir", name, "--num-images", "3", "--seed", "5", "--eval-batch-size", batch];
        generate(folder.path(), &[&flags[..], &["--eta", "0.5"]].concat()).ends_with(0);
    }
    generate(folder.path(), &["--output-dir", "other", "--num-images", "3", "--seed", "6"]).ends_with(0);
    let all = clips(&folder.path().join("all"));
    assert!(clips(&folder.path().join("one")) == all && clips(&folder.path().join("two")) == all);
    assert!(clips(&folder.path().join("other")) != all);
}

#[test]
fn the_manifest_and_the_json_tell_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let done = generate(folder.path(), &["--output-dir", "g", "--num-images", "2", "--json"]).ends_with(0);
    let report = done.json();
    assert_eq!(report["clips"], 2);
    for field in ["sampling_seconds", "vocoder_seconds", "seconds"] {
        assert!(report[field].as_f64().unwrap() > 0.0, "{report}");
    }
    let g = folder.path().join("g");
    let manifest = fs::read_to_string(g.join("manifest.jsonl")).unwrap();
    assert_eq!(manifest.lines().count(), 2);
    for line in manifest.lines() {
        let clip: serde_json::Value = serde_json::from_str(line).unwrap();
        for part in ["mel", "image", "audio"] {
            assert!(g.join(clip[part].as_str().unwrap()).is_file(), "{line}");
        }
        let mel = npy::read::<f32>(&g.join(clip["mel"].as_str().unwrap())).unwrap();
        assert_eq!(mel.shape, [1, 16, 16]);
    }
    assert!(g.join("mels/mel_config.json").is_file());
    // The model is the one that was used, not the default.
    let resolved = fs::read_to_string(g.join("nocturne.yaml")).unwrap();
    for line in ["layers_per_block: 1", "norm_num_groups: 4", "hop_length: 256", "num_images: 2"] {
        assert!(resolved.contains(line), "no `{line}` in: {resolved}");
    }
    let again = ["--output-dir", "again", "--config", "g/nocturne.yaml"];
    generate(folder.path(), &again).ends_with(0);
    assert!(clips(&g) == clips(&folder.path().join("again")));
    // An earlier run's clips do not pass for this one's unseen.
    let loud: Vec<&str> = QUICK.iter().copied().filter(|flag| *flag != "--quiet").collect();
    let model = with_model().join("model");
    let flags = ["--model", model.to_str().unwrap(), "--output-dir", "g", "--num-images", "1"];
    run(folder.path(), &[&loud[..], &flags].concat()).ends_with(0).complains(&["warning: g holds 1 more"]);
}

#[test]
fn noise_from_a_file_is_where_sampling_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let noise: Vec<f32> = (0..512).map(|index| ((index * 37 % 101) as f32 - 50.0) / 25.0).collect();
    npy::write::<f32>(&path("noise.npy"), &[2, 1, 16, 16], &noise).unwrap();
    npy::write::<f32>(&path("first.npy"), &[1, 1, 16, 16], &noise[..256]).unwrap();
    generate(folder.path(), &["--output-dir", "a", "--noise", "noise.npy", "--seed", "1"]).ends_with(0);
    generate(folder.path(), &["--output-dir", "b", "--noise", "first.npy", "--seed", "2"]).ends_with(0);
    let read = |file: &str| fs::read(path(file)).unwrap();
    assert!(read("a/mels/000000.npy") == read("b/mels/000000.npy"));
    assert!(read("a/mels/000000.npy") != read("a/mels/000001.npy"));

    npy::write::<f32>(&path("narrow.npy"), &[2, 1, 16, 8], &noise[..256]).unwrap();
    npy::write::<f32>(&path("flat.npy"), &[16, 16], &noise[..256]).unwrap();
    let broken: Vec<f32> = noise[..256].iter().map(|value| if *value > 1.9 { f32::NAN } else { *value }).collect();
    npy::write::<f32>(&path("nan.npy"), &[1, 1, 16, 16], &broken).unwrap();
    fs::write(path("cut.npy"), &read("noise.npy")[..300]).unwrap();
    fs::write(path("text.npy"), "noise").unwrap();
    let cases = [
        ("narrow.npy", "[2, 1, 16, 8]"),
        ("flat.npy", "[16, 16]"),
        ("nan.npy", "not finite"),
        ("cut.npy", "cut.npy"),
        ("text.npy", "text.npy"),
        ("none.npy", "none.npy"),
    ];
    for (file, word) in cases {
        generate(folder.path(), &["--output-dir", "c", "--noise", file]).ends_with(2).complains(&[word]);
    }
    let more = ["--output-dir", "c", "--noise", "noise.npy", "--num-images", "3"];
    generate(folder.path(), &more).ends_with(2).complains(&["holds 2", "asks for 3"]);
    assert!(!path("c").exists());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["--guidance-scale", "4"], "`guidance_scale` is 4, expected 1: the model is unconditional"),
        (&["--set", "sampling.guidance_scale=0"], "guidance_scale"),
        (&["--eta", "1.5"], "eta"),
        (&["--eta", "nan"], "finite"),
        (&["--scheduler", "ddpm", "--eta", "0.5"], "DDIM"),
        (&["--scheduler", "euler-a"], "euler-a"),
        (&["--num-images", "0"], "1 or more"),
        (&["--set", "sampling.num_inference_steps=0"], "num_inference_steps"),
        (&["--set", "sampling.stepz=3"], "sampling.stepz"),
    ];
    for (arguments, word) in cases {
        // The case's own number of steps must not be overruled by the flag.
        let model = with_model().join("model");
        let flags = ["generate", "--model", model.to_str().unwrap(), "--output-dir", "g", "--n-iter", "1"];
        run(folder.path(), &[&flags[..], arguments].concat()).ends_with(2).complains(&[word]);
    }
}

#[test]
fn damaged_models_are_named_by_the_file_that_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let copy = || {
        let model = folder.path().join("model");
        let _ = fs::remove_dir_all(&model);
        for (path, bytes) in contents(&with_model().join("model")) {
            if !path.starts_with("state") {
                fs::create_dir_all(model.join(&path).parent().unwrap()).unwrap();
                fs::write(model.join(&path), bytes).unwrap();
            }
        }
        model
    };
    let weights = "unet/diffusion_pytorch_model.safetensors";
    let cut = fs::read(with_model().join("model").join(weights)).unwrap()[..1000].to_vec();
    let config = fs::read_to_string(with_model().join("model/unet/config.json")).unwrap();
    let wider = config.replace("16", "24").into_bytes();
    let cases: [(&str, Option<Vec<u8>>, i32); 9] = [
        (weights, Some(cut), 1),
        (weights, Some(b"\xff\xff\xff\xff\xff\xff\xff\x7f{}".to_vec()), 1),
        (weights, None, 1),
        ("unet/config.json", Some(b"{".to_vec()), 1),
        ("unet/config.json", Some(wider), 1),
        ("unet/config.json", None, 2),
        ("scheduler/scheduler_config.json", Some(br#"{"_class_name": "PNDMScheduler"}"#.to_vec()), 1),
        ("mel/mel_config.json", Some(br#"{"x_res": 99999999}"#.to_vec()), 1),
        ("mel/mel_config.json", None, 2),
    ];
    for (file, bytes, code) in cases {
        let path = copy().join(file);
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let flags = [&QUICK[..], &["--model", "model", "--output-dir", "g", "--num-images", "1"]].concat();
        let name = Path::new(file).parent().unwrap().to_str().unwrap();
        run(folder.path(), &flags).ends_with(code).complains(&["error: ", name]);
        assert!(!folder.path().join("g").exists(), "{file}");
    }
    let nowhere = [&QUICK[..], &["--model", "nowhere", "--output-dir", "g"]].concat();
    run(folder.path(), &nowhere).ends_with(2).complains(&["nowhere", "unet/config.json"]);
}
