use super::super::interpreter::python;
use super::super::support::{Run, run};
use super::{codes, with_model, with_native_model};
use burn::tensor::Device;
use nocturne_models::musicgen::MusicgenConfig;
use nocturne_models::{network, parameters};
use std::fs;
use std::path::Path;
use std::process::Command;

fn export(folder: &Path, model: &str, output: &str, format: &str) -> Run {
    let command = ["musicgen", "export", "--model", model, "--device", "cpu", "--json", "--output-dir", output];
    run(folder, &[&command[..], &["--format", format]].concat())
}

/// The parameters of a folder of transformers.
fn parameters_of(folder: &Path) -> Vec<(String, Vec<f32>)> {
    let (_, network) = network::open::<MusicgenConfig>(folder, &Device::flex()).unwrap();
    let mut all = Vec::new();
    parameters::visit(&network, |name, _, values| {
        all.push((name.to_owned(), values.into_data().iter::<f32>().collect()));
    });
    all
}

#[test]
fn a_model_goes_to_the_other_family_and_back() {
    let folder = with_model();
    let at = |name: &str| folder.path().join(name);
    let result = export(folder.path(), "model", "native", "audiocraft").ends_with(0).json();
    assert_eq!(result["output_dir"], "native");
    export(folder.path(), "native", "back", "transformers").ends_with(0);
    let (before, after) = (parameters_of(&at("model")), parameters_of(&at("back")));
    assert_eq!(before.len(), after.len());
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        for (before, after) in before.iter().zip(after) {
            // Weight norm was folded and taken apart again, which rounds; nothing else does.
            let bound = if name.starts_with("audio_encoder") { 2e-7 * before.abs() } else { 0.0 };
            assert!((before - after).abs() <= bound, "{name}: {before}, {after}");
        }
    }
    let arguments = ["--prompt", "soft rain", "--duration", "0.5", "--top-k", "12", "--save-codes"];
    let made = ["model", "native", "back"].map(|model| {
        let output = format!("from-{model}");
        let command = ["musicgen", "generate", "--model", model, "--device", "cpu", "--output-dir", &output];
        run(folder.path(), &[&command[..], &arguments].concat()).ends_with(0);
        codes(at(&output).join("000000.npy")).values
    });
    assert_eq!((&made[0], &made[0]), (&made[1], &made[2]));

    export(folder.path(), "model", "native", "transformers").ends_with(2).complains(&["native", "not empty"]);
    export(folder.path(), "nothing", "new", "transformers").ends_with(2).complains(&["nothing"]);
    assert!(!at("new").exists());
}

/// What audiocraft wrote, exported, in Python: nothing is missing, nothing is left over, and the tokens and the audio are those of
/// the model that it was made of.
#[test]
fn transformers_opens_what_is_exported() {
    let Some(python) = python("safetensors, torch, transformers") else { return };
    let folder = with_native_model();
    let at = |name: &str| folder.path().join(name);
    fs::rename(at("model/t5"), at("native/text_encoder")).unwrap();
    export(folder.path(), "native", "exported", "transformers").ends_with(0);
    export(folder.path(), "model", "packages", "audiocraft").ends_with(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reference/musicgen_export.py");
    let output = Command::new(python).arg(script).arg(folder.path()).env("HF_HUB_OFFLINE", "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}
