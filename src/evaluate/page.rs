//! The page about an evaluation: numbers with their intervals, the map of the clips, and what stands out, to be listened to.

use std::path::{Path, PathBuf};

use nocturne_models::files::write_atomic;
use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::mel::{LogMel, LogMelConfig};

use super::report::Song;
use super::{EvaluateError, Map, MappedSet, Report, Row};
use crate::report::{self, Body, Clip, Fact, Mel, Points, Scatter, Score, Scores, Section, render};

/// Clips of a kind that are shown of a set.
const SHOWN: usize = 3;
/// Sets of which clips are shown: each takes some megabytes.
const SETS: usize = 4;
/// What is heard of a clip, from its beginning.
const SECONDS: usize = 10;
/// The rate of what is heard, in Hz.
const SAMPLE_RATE: u32 = 22_050;
/// How far below its loudest a spectrogram is dark, in natural logarithms: 80 dB.
const RANGE: f32 = 9.2;

/// Writes the page of a report; the sounds are those of the generated sets, as they are now.
pub fn write(report: &Report, path: &Path) -> Result<(), EvaluateError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(EvaluateError::io(folder))?;
    }
    write_atomic(path, render(&page(report)).as_bytes()).map_err(EvaluateError::io(path))
}

fn page(report: &Report) -> report::Report {
    let command = report.settings["command"].as_str().unwrap_or_default();
    let mut sections: Vec<Section> = tables(report);
    for map in &report.maps {
        sections.push(section(
            format!("Where the clips lie: {}", map.model),
            format!(
                "Each mark is the mean of a clip's vectors, seen in the plane of the two principal components, which show {:.0} % and \
                 {:.0} % of what differs. Numbered clips are the farthest from the middle of the reference.",
                100.0 * map.explained[0],
                100.0 * map.explained[1]
            ),
            Body::Scatter(points(map)),
        ));
    }
    if let Some(map) = report.maps.first() {
        for (number, set) in map.sets.iter().filter(|set| !set.is_reference).take(SETS).enumerate() {
            let heard = outliers(set, number * SHOWN);
            if !heard.is_empty() {
                let heading = format!("Farthest from the reference: {}", set.path.display());
                sections.push(section(heading, format!("By the map of {}.", map.model), Body::Clips(heard)));
            }
        }
    }
    sections.extend(best_and_worst(&report.songs));
    report::Report {
        title: "Evaluation".to_owned(),
        summary: format!(
            "nocturne evaluate {command}, version {}. The JSON has all that it came from.",
            report.nocturne
        ),
        facts: facts(report),
        sections,
    }
}

fn section(heading: String, text: String, body: Body) -> Section {
    Section { heading, text, body }
}

fn facts(report: &Report) -> Vec<Fact> {
    let fact = |value: usize, label: &str| Fact { value: value.to_string(), label: label.to_owned() };
    let count = |sets: &[super::Provenance]| {
        let mut paths: Vec<(&PathBuf, usize)> = sets.iter().map(|set| (&set.path, set.clips.unwrap_or(0))).collect();
        paths.sort();
        paths.dedup_by_key(|set| set.0);
        (paths.len(), paths.iter().map(|set| set.1).sum())
    };
    let ((sets, clips), (references, reference_clips)) = (count(&report.generated), count(&report.references));
    vec![
        fact(sets, "scored sets"),
        fact(clips, "scored clips"),
        fact(references, "references"),
        fact(reference_clips, "reference clips"),
        fact(report.skipped().len(), "files left out"),
    ]
}

/// A table for every metric of every model.
fn tables(report: &Report) -> Vec<Section> {
    let mut tables: Vec<(&str, &str, Vec<&Row>)> = Vec::new();
    for row in &report.results {
        match tables
            .iter_mut()
            .find(|(model, metric, _)| (*model, *metric) == (row.model.as_str(), row.metric.as_str()))
        {
            Some((.., rows)) => rows.push(row),
            None => tables.push((&row.model, &row.metric, vec![row])),
        }
    }
    let table = |(model, metric, rows): (&str, &str, Vec<&Row>)| {
        let score = |row: &Row| Score {
            name: row.generated.display().to_string(),
            value: row.value,
            interval: row.interval.as_ref().map(|interval| [interval.low, interval.high]),
            note: row.reference.as_ref().map_or(String::new(), |path| format!("against {}", path.display())),
            highlight: false,
        };
        let scores = Scores {
            columns: ["set".to_owned(), metric.to_owned()],
            explanation: format!("{} The thin line is the 95 % interval, over clips drawn anew.", explanation(metric)),
            rows: rows.into_iter().map(score).collect(),
        };
        section(format!("{metric}: {model}"), String::new(), Body::Scores(scores))
    };
    tables.into_iter().map(table).collect()
}

fn explanation(metric: &str) -> &'static str {
    match metric {
        "fad" => "The Fréchet audio distance: smaller is closer.",
        "fad_inf" => "The Fréchet audio distance of an unlimited set: smaller is closer.",
        "kad" => "The kernel audio distance: smaller is closer; below zero is as close as these sets can tell.",
        "kid" => "The kernel distance: smaller is closer; below zero is as close as these sets can tell.",
        "precision" | "density" => "How many generated clips lie among the reference: larger is better.",
        "recall" | "coverage" => "How much of the reference the generated clips reach: larger is better.",
        "clap" => "The mean cosine of clips and their captions: larger is better.",
        "fas" => "The Fréchet audio distance as a score, by the map that was chosen: larger is better.",
        "clas" => "The mean of CLAP score and FAS: larger is better. Other maps give other numbers.",
        "inception" => "How clear and how various the set is to the classifier: larger is better.",
        _ => "The divergence of what a classifier hears: smaller is closer.",
    }
}

fn points(map: &Map) -> Scatter {
    let name = |set: &MappedSet| {
        if set.is_reference { format!("{} (reference)", set.path.display()) } else { set.path.display().to_string() }
    };
    let set = |set: &MappedSet| Points {
        name: name(set),
        points: set.clips.iter().map(|clip| (clip.place, clip.name.clone())).collect(),
        numbered: if set.is_reference { Vec::new() } else { set.outliers(SHOWN) },
    };
    Scatter { title: format!("Clips under {}", map.model), sets: map.sets.iter().map(set).collect() }
}

fn outliers(set: &MappedSet, before: usize) -> Vec<Clip> {
    let clip = |(place, number): (usize, usize)| {
        let clip = &set.clips[place];
        let title = format!("{}. {}", before + number, clip.name);
        player(&set.file(clip), title, format!("{:.1} standard deviations from the middle", clip.farness))
    };
    set.outliers(SHOWN).into_iter().zip(1..).filter_map(clip).collect()
}

/// Of every set, the clips with the smallest and the largest number of their own, where there are enough of both.
fn best_and_worst(songs: &[Song]) -> Vec<Section> {
    let mut groups: Vec<Vec<&Song>> = Vec::new();
    for song in songs.iter().filter(|song| song.value.is_some()) {
        let same = |group: &&mut Vec<&Song>| {
            let first = group[0];
            (&first.model, &first.reference, &first.generated) == (&song.model, &song.reference, &song.generated)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(song),
            None => groups.push(vec![song]),
        }
    }
    let mut sections = Vec::new();
    for mut group in groups.into_iter().take(SETS) {
        group.sort_by(|a, b| a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0)));
        if group[0].metric == "clap" {
            group.reverse();
        }
        let shown = SHOWN.min(group.len().div_ceil(2));
        let worst: Vec<&Song> = group.iter().rev().take(shown.min(group.len() - shown)).copied().collect();
        for (kind, some) in [("Best", &group[..shown]), ("Worst", &worst)] {
            let clip = |song: &&Song| {
                let note = format!("{} {:.3}", song.metric, song.value.unwrap_or(f64::NAN));
                player(&song.generated.join(&song.clip), song.clip.clone(), note)
            };
            let heard: Vec<Clip> = some.iter().filter_map(clip).collect();
            if let (Some(first), false) = (some.first(), heard.is_empty()) {
                let heading = format!("{kind} of {}", first.generated.display());
                let text = format!("Each alone against {}, under {}.", first.reference.display(), first.model);
                sections.push(section(heading, text, Body::Clips(heard)));
            }
        }
    }
    sections
}

/// The beginning of a sound file; none of what is no sound, such as embeddings.
fn player(file: &Path, title: String, note: String) -> Option<Clip> {
    let mut audio = Audio::decode(file).ok()?;
    let length = SECONDS * audio.sample_rate as usize;
    for channel in &mut audio.channels {
        channel.truncate(length);
    }
    let samples = audio.into_mono(SAMPLE_RATE);
    Some(Clip { title, note, mel: picture(&samples)?, samples, sample_rate: SAMPLE_RATE })
}

fn picture(samples: &[f32]) -> Option<Mel> {
    let config =
        LogMelConfig { sampling_rate: SAMPLE_RATE, num_mels: 64, n_fft: 1024, hop_size: 1024, fmin: 0.0, fmax: None };
    let mel = LogMel::new(&config).ok()?.mel(samples);
    let (height, width) = mel.dim();
    let loudest = mel.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let values = mel.iter().map(|value| 1.0 + (value - loudest) / RANGE).collect();
    (width > 0).then_some(Mel { values, height, width })
}
