//! The page about a quickstart run.

use super::score::Scoring;
use super::{QuickstartError, Summary};
use crate::npy;
use crate::pipeline::{GenerateError, Generated};
use crate::progress::clock;
use crate::report::{Body, Chart, Clip, Command, Fact, Mel, Report, Score, Scores, Section, Series, render};
use ndarray::ArrayView2;
use serde_json::Value;
use std::path::Path;

/// Training clips shown for comparison.
const SHOWN: usize = 4;

/// Renders `report.html`.
pub fn page(summary: &Summary, generated: &Generated, scoring: &Scoring<'_>) -> Result<String, QuickstartError> {
    let sample_rate = scoring.representation.config().mel.sample_rate;
    let mut new = Vec::new();
    for (index, clip) in generated.clips.iter().enumerate() {
        let npy::Array { shape, values } =
            npy::read::<f32>(&summary.clips.join(&clip.mel)).map_err(GenerateError::from)?;
        let mel = ArrayView2::from_shape((shape[1], shape[2]), &values).map_err(QuickstartError::from)?;
        let samples = scoring.representation.audio(mel, None, clip.seed.wrapping_add(index as u64))?;
        let title = format!("Clip {}", index + 1);
        new.push(Clip { title, note: clip.audio.display().to_string(), samples, sample_rate, mel: shown(mel) });
    }
    let mut training = Vec::new();
    for index in scoring.training_examples(SHOWN) {
        let (name, mel, samples) = scoring.example(index)?;
        let note = "resynthesised from its mel".to_owned();
        let title = Path::new(&name).file_name().map_or(name.clone(), |file| file.to_string_lossy().into_owned());
        training.push(Clip { title, note, samples, sample_rate, mel: shown(mel.view()) });
    }
    let report = Report {
        title: "Nocturne quickstart".to_owned(),
        summary: format!(
            "A diffusion model learned the mel spectrograms of {:.1} minutes of music and made {} new clips. Everything ran \
             on this machine in {}.",
            summary.seconds_of_music / 60.0,
            generated.clips.len(),
            clock(summary.seconds),
        ),
        facts: facts(summary),
        sections: vec![
            Section {
                heading: "New music".to_owned(),
                text: "Generated from noise; none of it is in the training music.".to_owned(),
                body: Body::Clips(new),
            },
            Section {
                heading: "Training music".to_owned(),
                text: "What the model learned from, through the same mel and Griffin-Lim as the new clips.".to_owned(),
                body: Body::Clips(training),
            },
            Section {
                heading: "Does it sound like its music?".to_owned(),
                text: String::new(),
                body: Body::Scores(scores(summary)),
            },
            Section {
                heading: "Loss".to_owned(),
                text: "Validation is on recordings that training never saw, with the averaged weights.".to_owned(),
                body: Body::Chart(loss(summary)),
            },
            Section { heading: "Next".to_owned(), text: String::new(), body: Body::Commands(commands(summary)) },
        ],
    };
    Ok(render(&report))
}

/// A mel in the model's scale as pictures show it.
fn shown(mel: ArrayView2<f32>) -> Mel {
    let (height, width) = mel.dim();
    Mel { values: mel.iter().map(|unit| (unit / 2.0 + 0.5).clamp(0.0, 1.0)).collect(), height, width }
}

fn facts(summary: &Summary) -> Vec<Fact> {
    let fact = |value: String, label: &str| Fact { value, label: label.to_owned() };
    vec![
        fact(format!("{:.1}", summary.seconds_of_music / 60.0), "minutes of music"),
        fact(summary.slices.to_string(), "slices"),
        fact(format!("{:.2} M", summary.parameters as f64 / 1e6), "parameters"),
        fact(summary.steps.to_string(), "training steps"),
        fact(summary.seconds_per_step.map_or_else(|| "–".to_owned(), |s| format!("{s:.2} s")), "a step"),
        fact(clock(summary.seconds), "in all"),
    ]
}

fn scores(summary: &Summary) -> Scores {
    let rows = summary.distances.iter().enumerate().map(|(index, distance)| Score {
        name: distance.name.to_owned(),
        value: distance.value,
        interval: None,
        note: distance.note.to_owned(),
        highlight: index == 0,
    });
    Scores {
        columns: ["Compared with held-out music".to_owned(), "Fréchet distance".to_owned()],
        explanation:
            "Of mean-pooled log-mels, all clips at one level; smaller is closer. It hears which bands sound, not \
                      whether the music is good."
                .to_owned(),
        rows: rows.collect(),
    }
}

/// The curves of `model/logs/train.jsonl`; a log that cannot be read gives none.
fn loss(summary: &Summary) -> Chart {
    let text = std::fs::read_to_string(summary.model.join("logs/train.jsonl")).unwrap_or_default();
    let entries: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let series = [("training", "loss"), ("validation", "validation_loss")].map(|(name, key)| Series {
        name: name.to_owned(),
        points: entries.iter().filter_map(|entry| Some((entry["step"].as_f64()?, entry[key].as_f64()?))).collect(),
    });
    Chart { x_label: "step".to_owned(), y_label: "loss".to_owned(), logarithmic: true, series: series.into() }
}

fn commands(summary: &Summary) -> Vec<Command> {
    let (model, clips) = (summary.model.display(), summary.clips.display());
    let command = |purpose: &str, line: String| Command { purpose: purpose.to_owned(), line };
    vec![
        command(
            "More clips from this model",
            format!("nocturne generate --model {model} --output-dir {clips}-2 --num-images 16 --seed 7"),
        ),
        command(
            "The same with your own recordings",
            "nocturne quickstart --input-dir my-music --output-dir my-quickstart".to_owned(),
        ),
        command(
            "Train longer: a dataset, then a model",
            "nocturne prepare --input-dir my-music --output-dir my-data --resolution 64,64 --hop-length 1024"
                .to_owned(),
        ),
        command(
            "",
            "nocturne train unet --config configs/quickstart.yaml --dataset my-data --output-dir my-model \
             --max-training-num-steps 20000"
                .to_owned(),
        ),
        command("Watch training (Python's TensorBoard)", format!("tensorboard --logdir {model}/logs")),
    ]
}
