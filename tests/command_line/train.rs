use super::support::{contents, nocturne, run, tone, training, with_dataset};
use std::fs;
use std::path::Path;

#[test]
fn a_run_writes_a_model_folder_and_says_so_in_json() {
    let folder = with_dataset(4);
    let flags = ["--output-dir", "model", "--max-training-num-steps", "3", "--seed", "7", "--json"];
    let done = run(folder.path(), &training(&flags)).ends_with(0);
    let report = done.json();
    assert_eq!((report["steps"].as_u64(), report["interrupted"].as_bool()), (Some(3), Some(false)), "{report}");
    assert!(report["loss"].as_f64().unwrap() > 0.0 && report["seconds_per_step"].as_f64().unwrap() > 0.0, "{report}");
    let model = folder.path().join("model");
    for file in [
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "scheduler/scheduler_config.json",
        "mel/mel_config.json",
        "nocturne.yaml",
        "logs/train.jsonl",
        "state/step-3/state.json",
        "samples/step-3/000000.png",
        "samples/step-3/000000.wav",
    ] {
        assert!(model.join(file).is_file(), "{file}");
    }
    // What was trained, not what the defaults are.
    let resolved = fs::read_to_string(model.join("nocturne.yaml")).unwrap();
    for line in ["seed: 7", "hop_length: 256", "n_fft: 512", "max_training_num_steps: 3"] {
        assert!(resolved.contains(line), "no `{line}` in: {resolved}");
    }
}

#[test]
fn a_finished_run_is_not_mixed_with_another() {
    let folder = with_dataset(2);
    let flags = ["--output-dir", "model", "--max-training-num-steps", "1", "-q"];
    run(folder.path(), &training(&flags)).ends_with(0);
    let before = contents(&folder.path().join("model"));
    let again = training(&["--output-dir", "model", "--max-training-num-steps", "1", "--learning-rate", "1e-3"]);
    run(folder.path(), &again).ends_with(2).complains(&["holds the state of a training run", "hint: `--resume`"]);
    assert!(contents(&folder.path().join("model")) == before, "a refused run changed the model folder");
    let wider = training(&["--output-dir", "model", "--resume", "--set", "model.block_out_channels=[8,32]"]);
    run(folder.path(), &wider).ends_with(2).complains(&["model.block_out_channels"]);
}

/// SIGTERM in the middle, then `--resume`: the weights are those of a run that nobody stopped.
#[cfg(unix)]
#[test]
fn a_stopped_and_resumed_run_equals_an_uninterrupted_one() {
    use std::process::Command;
    use std::time::{Duration, Instant};
    let folder = with_dataset(4);
    let flags = ["--max-training-num-steps", "30", "--set", "train.log_steps=1", "--lr-warmup-steps", "5"];
    let whole = training(&[&flags[..], &["--output-dir", "whole", "-q"]].concat());
    run(folder.path(), &whole).ends_with(0);

    let stopped = training(&[&flags[..], &["--output-dir", "stopped", "--json"]].concat());
    let child = nocturne(folder.path(), &stopped).spawn().unwrap();
    let log = folder.path().join("stopped/logs/train.jsonl");
    let lines = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    let started = Instant::now();
    while lines() < 3 && started.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(2));
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    assert!((3..30).contains(&report["steps"].as_u64().unwrap()), "{report}");

    let resumed = run(folder.path(), &[&stopped[..], &["--resume"]].concat()).ends_with(0).json();
    assert_eq!(resumed["steps"], 30);
    let read = |run: &str, file: &str| fs::read(folder.path().join(run).join(file)).unwrap();
    for file in ["unet/diffusion_pytorch_model.safetensors", "state/step-30/exp_avg_sq.safetensors"] {
        assert!(read("whole", file) == read("stopped", file), "{file} differs");
    }
    assert_eq!(lines(), fs::read_to_string(folder.path().join("whole/logs/train.jsonl")).unwrap().lines().count());
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_with_its_files() {
    let folder = with_dataset(2);
    let flags = ["--output-dir", "model", "--learning-rate", "1e35", "--lr-warmup-steps", "0"];
    let long = ["--max-training-num-steps", "40", "--set", "train.log_steps=1"];
    run(folder.path(), &training(&[&flags[..], &long].concat())).ends_with(1).complains(&[
        "error: step ",
        "not finite",
        "music/",
        "hint: a lower `--learning-rate`",
    ]);
}

#[test]
fn what_cannot_be_trained_is_refused_before_anything_is_written() {
    let folder = with_dataset(2);
    tone(folder.path(), "text/a.wav", 0, 0.1);
    let cases: [(&[&str], i32, &[&str]); 14] = [
        (
            &["--set", "model.blok_out_channels=[8]"],
            2,
            &["model.blok_out_channels", "did you mean `block_out_channels`"],
        ),
        (&["--set", "model.block_out_channels=8"], 2, &["model.block_out_channels", "expected a list"]),
        (&["--set", "train.learning_rate=fast"], 2, &["train.learning_rate", "expected a number"]),
        (&["--set", "train"], 2, &["key.path=value"]),
        (&["--learning-rate", "nan"], 2, &["--learning-rate", "finite"]),
        (&["--learning-rate=-1"], 2, &["train.learning_rate", "0 or more"]),
        (&["--lr-scheduler", "cosin"], 2, &["cosin", "cosine"]),
        (&["--set", "model.norm_num_groups=3"], 2, &["multiples of norm_num_groups"]),
        (&["--set", "model.down_block_types=[DownBlock2D]"], 2, &["down_block_types", "1 entries", "2 entries"]),
        (&["--set", "model.in_channels=3"], 2, &["3 channels"]),
        (&["--train-batch-size", "0"], 2, &["train_batch_size"]),
        (&["--config", "nowhere.yaml"], 2, &["nowhere.yaml"]),
        (&["--dataset", "nowhere"], 2, &["nowhere"]),
        (&["--dataset", "text"], 1, &["text", "dataset_dict.json"]),
    ];
    for (arguments, code, words) in cases {
        let all = training(&[&["--output-dir", "model", "--max-training-num-steps", "1"][..], arguments].concat());
        run(folder.path(), &all).ends_with(code).complains(words);
        assert!(contents_or_none(&folder.path().join("model")), "{arguments:?} left something behind");
    }
    fs::write(folder.path().join("file"), "in the way").unwrap();
    run(folder.path(), &training(&["--output-dir", "file"])).ends_with(2).complains(&["file"]);
}

fn contents_or_none(folder: &Path) -> bool {
    !folder.exists() || contents(folder).is_empty()
}

#[test]
fn a_network_too_deep_for_its_mels_is_refused() {
    let folder = with_dataset(2);
    let deep = ["--set", "model.block_out_channels=[8,8,8,8,8,8]", "--output-dir", "model"];
    run(folder.path(), &training(&deep)).ends_with(2).complains(&["16×16", "6 resolutions"]);
}

#[test]
fn the_checkpoint_whose_clips_are_nearest_is_kept() {
    let folder = with_dataset(4);
    let arguments =
        ["--output-dir", "m", "--max-training-num-steps", "8", "--evaluate-every", "2", "--seed", "3", "--json"];
    let small = ["--set", "evaluation.num_images=2", "--set", "train.keep_last=1", "--set", "train.save_model_steps=0"];
    let said = run(folder.path(), &training(&[&arguments[..], &small].concat())).ends_with(0).json();
    let log = fs::read_to_string(folder.path().join("m/logs/train.jsonl")).unwrap();
    let entries = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let measured: Vec<(u64, f64)> =
        entries.filter_map(|entry| Some((entry["step"].as_u64()?, entry["fad"].as_f64()?))).collect();
    assert_eq!(measured.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [2, 4, 6, 8]);
    assert_eq!(said["fad"].as_f64(), Some(measured[3].1));
    let best = measured.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    let kept = |step: u64| folder.path().join(format!("m/state/step-{step}")).is_dir();
    for step in [2, 4, 6, 8] {
        assert_eq!(kept(step), step == 8 || step == best, "{step} of {measured:?}");
    }
    let missing = ["--output-dir", "n", "--evaluate-every", "2", "--set", "evaluation.model=vggish"];
    run(folder.path(), &training(&[&missing[..], &["--max-training-num-steps", "2"]].concat()))
        .ends_with(2)
        .complains(&["vggish needs vggish-10086976.pth", "evaluation.weights"]);
}
