//! Fréchet audio distances of many sets to many references.

use std::path::PathBuf;

use ndarray::ArrayView2;
use nocturne_evaluation::fadtk::rounded_statistics;
use nocturne_evaluation::{Embeddings, FadInfinity, FrechetError, Gaussian, frechet_interval, per_song};
use serde_json::{Value, json};

use super::{EvaluateError, Keep, OnProgress, Report, Row, Sets, Song, same_dimension};

/// What is made beside the distance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FadOptions {
    /// FAD-inf.
    pub infinity: Option<FadInfinity>,
    /// The distance of every clip alone.
    pub songs: bool,
    /// Round vectors and means to 16 bits as fadtk stores them.
    pub fadtk_rounding: bool,
}

/// The distances of all generated sets to all references under all models.
pub fn fad(sets: &Sets, options: &FadOptions, progress: &mut OnProgress) -> Result<Report, EvaluateError> {
    let models = sets.models();
    let mut report = Report::new(json!({
        "command": "fad",
        "models": models,
        "profile": sets.profile,
        "bootstrap": sets.bootstrap,
        "infinity": options.infinity,
        "fadtk_rounding": options.fadtk_rounding,
    }));
    // Without intervals and songs a set is never held whole.
    let vectors = sets.bootstrap.replicates > 0 || options.infinity.is_some() || options.songs;
    for model in &models {
        let loader = sets.loader(model, options.fadtk_rounding);
        let mut references = Vec::new();
        for path in sets.references {
            let set = loader.load(path, Keep::Statistics, |done, of| progress(path, done, of))?;
            references.push((set.gaussian()?, set.provenance));
        }
        for path in sets.generated {
            let keep = if vectors { Keep::All } else { Keep::Statistics };
            let set = loader.load(path, keep, |done, of| progress(path, done, of))?;
            let gaussian = set.gaussian()?;
            for (reference, provenance) in &references {
                same_dimension(provenance, &set.provenance)?;
                let fault = |source| EvaluateError::Frechet {
                    reference: provenance.path.clone(),
                    generated: path.clone(),
                    source,
                };
                let row = |metric, value, interval, details| Row {
                    model: model.clone(),
                    metric,
                    value,
                    interval,
                    reference: provenance.path.clone(),
                    generated: path.clone(),
                    clips: set.provenance.clips,
                    vectors: set.provenance.vectors,
                    details,
                };
                let value = gaussian.frechet_distance(reference).map_err(fault)?;
                let interval = set
                    .vectors
                    .as_ref()
                    .and_then(|vectors| frechet_interval(reference, vectors, value, &sets.bootstrap));
                report.results.push(row("fad", value, interval, Value::Null));
                if let Some(infinity) = &options.infinity {
                    let vectors = set.vectors("FAD-inf")?.vectors();
                    let fault = |source| EvaluateError::Infinity { path: path.clone(), source };
                    let result = infinity.run(reference, vectors).map_err(fault)?;
                    report.results.push(row("fad_inf", result.value, None, json!(result)));
                }
                if options.songs {
                    let vectors = set.vectors("the distance of each song")?;
                    let distances = songs(reference, vectors, options.fadtk_rounding);
                    let songs = vectors.names().iter().zip(distances).map(|(clip, distance)| Song {
                        model: model.clone(),
                        reference: provenance.path.clone(),
                        generated: PathBuf::from(path),
                        clip: clip.clone(),
                        value: distance.ok(),
                    });
                    report.songs.extend(songs);
                }
            }
            report.generated.push(set.provenance);
        }
        report.references.extend(references.into_iter().map(|(_, provenance)| provenance));
    }
    Ok(report)
}

fn songs(reference: &Gaussian, set: &Embeddings, rounding: bool) -> Vec<Result<f64, FrechetError>> {
    if !rounding {
        return per_song(reference, set);
    }
    let distance = |vectors: ArrayView2<f32>| rounded_statistics(vectors).gaussian()?.frechet_distance(reference);
    (0..set.clips()).map(|clip| distance(set.clip(clip))).collect()
}
