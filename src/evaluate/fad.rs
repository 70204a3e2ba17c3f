//! Fréchet audio distances of many sets to many references.

use ndarray::ArrayView2;
use nocturne_evaluation::fadtk::rounded_statistics;
use nocturne_evaluation::{Embeddings, FadInfinity, FrechetError, Gaussian, frechet_interval, per_song};
use serde_json::{Value, json};

use super::{EvaluateError, Keep, Loader, OnProgress, Report, Sets, Song};

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
    let report = Report::new(json!({
        "command": "fad",
        "models": models,
        "profile": sets.hearing.profile,
        "bootstrap": sets.bootstrap,
        "infinity": options.infinity,
        "fadtk_rounding": options.fadtk_rounding,
    }));
    // Without intervals and songs a set is never held whole.
    let vectors = sets.bootstrap.replicates > 0 || options.infinity.is_some() || options.songs;
    let keep = [Keep::Statistics, if vectors { Keep::All } else { Keep::Statistics }];
    let mut loader = Loader::new(sets.hearing, &models);
    loader.fadtk_rounding = options.fadtk_rounding;
    sets.compare(&loader, keep, report, progress, |pair, report| {
        let (reference, generated) = (pair.reference.gaussian()?, pair.generated);
        let fault = |source| EvaluateError::Frechet {
            reference: pair.reference.provenance.path.clone(),
            generated: generated.provenance.path.clone(),
            source,
        };
        let value = generated.gaussian()?.frechet_distance(reference).map_err(fault)?;
        let vectors = generated.vectors.as_ref();
        let interval = vectors.and_then(|vectors| frechet_interval(reference, vectors, value, &sets.bootstrap));
        report.results.push(pair.row("fad", value, interval, Value::Null));
        if let Some(infinity) = &options.infinity {
            let vectors = generated.vectors("FAD-inf")?.vectors();
            let path = generated.provenance.path.clone();
            let result = infinity.run(reference, vectors).map_err(|source| EvaluateError::Infinity { path, source })?;
            report.results.push(pair.row("fad_inf", result.value, None, json!(result)));
        }
        if options.songs {
            let vectors = generated.vectors("the distance of each song")?;
            let distances = songs(reference, vectors, options.fadtk_rounding);
            report.songs.extend(vectors.names().iter().zip(distances).map(|(clip, distance)| Song {
                model: generated.provenance.model.clone(),
                reference: pair.reference.provenance.path.clone(),
                generated: generated.provenance.path.clone(),
                metric: "fad",
                clip: clip.clone(),
                value: distance.ok(),
            }));
        }
        Ok(())
    })
}

fn songs(reference: &Gaussian, set: &Embeddings, rounding: bool) -> Vec<Result<f64, FrechetError>> {
    if !rounding {
        return per_song(reference, set);
    }
    let distance = |vectors: ArrayView2<f32>| rounded_statistics(vectors).gaussian()?.frechet_distance(reference);
    (0..set.clips()).map(|clip| distance(set.clip(clip))).collect()
}
