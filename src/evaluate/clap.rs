//! Does the music fit its captions? The CLAP score, and CLAS, which joins it with a Fréchet distance.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array1, Axis};
use nocturne_evaluation::clap::Training;
use nocturne_evaluation::{ClapScoreError, FasMap, clap_score, clas, clas_interval};
use serde::Serialize;
use serde_json::{Value, json};

use super::captions::{Captions, Encoder};
use super::ids::id_of;
use super::{EvaluateError, Hearing, Keep, Loader, OnProgress, Pair, Report, Row, Set, Sets, Song};
use crate::skipped::Skipped;

/// Which CLAP listens and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ClapModel {
    /// Trained on sounds of all kinds.
    ClapLaionAudio,
    /// Trained on music: audiocraft's.
    ClapLaionMusic,
}

impl ClapModel {
    fn training(self) -> Training {
        match self {
            Self::ClapLaionAudio => Training::Audio,
            Self::ClapLaionMusic => Training::Music,
        }
    }

    /// The names of its vectors of captions, and of clips.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::ClapLaionAudio => ["clap-laion-audio", "clap-laion-audio-clip"],
            Self::ClapLaionMusic => ["clap-laion-music", "clap-laion-music-clip"],
        }
    }
}

/// Reads captions, and scores sets by them.
struct Scorer<'a> {
    captions: &'a Captions,
    encoder: Encoder<'a>,
}

/// The score of one set, with each clip's cosine by its place in the set.
struct Scored {
    value: f64,
    cosines: Vec<Option<f64>>,
}

/// The CLAP scores of all generated sets under all `clap_models`.
pub fn clap(
    sets: &Sets,
    captions: &Captions,
    clap_models: &[ClapModel],
    progress: &mut OnProgress,
) -> Result<Report, EvaluateError> {
    let models: Vec<String> = clap_models.iter().map(|model| model.names()[1].to_owned()).collect();
    let report = Report::new(json!({
        "command": "clap",
        "models": models,
        "captions": about(captions),
        "profile": sets.hearing.profile,
        "bootstrap": sets.bootstrap,
    }));
    let scorer = |model: &ClapModel| Scorer::new(*model, captions, sets.hearing);
    let mut scorers: Vec<Scorer> = clap_models.iter().map(scorer).collect::<Result<_, _>>()?;
    let loader = Loader::new(sets.hearing, &models);
    sets.each(&loader, Keep::Vectors, report, progress, |of_models, report| {
        for (set, scorer) in of_models.iter().zip(&mut scorers) {
            scorer.score(sets, set, report)?;
        }
        Ok(())
    })
}

/// What CLAS is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClasOptions {
    /// Who listens and reads.
    pub clap_model: ClapModel,
    /// From a Fréchet distance to a score.
    pub map: FasMap,
}

/// CLAS of all generated sets against all references, with the distances under the sets' models.
pub fn clas_scores(
    sets: &Sets,
    captions: &Captions,
    options: &ClasOptions,
    progress: &mut OnProgress,
) -> Result<Report, EvaluateError> {
    let (models, listener) = (sets.models(), options.clap_model.names()[1].to_owned());
    let mut report = Report::new(json!({
        "command": "clas",
        "models": models,
        "clas": options,
        "captions": about(captions),
        "profile": sets.hearing.profile,
        "bootstrap": sets.bootstrap,
    }));
    let mut scorer = Scorer::new(options.clap_model, captions, sets.hearing)?;
    let mut scores: BTreeMap<&Path, (Set, Scored)> = BTreeMap::new();
    let heard = Loader::new(sets.hearing, &[listener]);
    for path in sets.generated {
        let of_models = heard.load(path, None, Keep::Vectors, |done, of| progress(path, done, of))?;
        for set in of_models {
            let scored = scorer.score(sets, &set, &mut report)?;
            scores.insert(path, (set, scored));
        }
    }
    report.weights.extend(heard.weights());
    let loader = Loader::new(sets.hearing, &models);
    let keep = [Keep::Statistics, Keep::All];
    let mut report = sets.compare(&loader, keep, report, progress, |pair, report| {
        let Some((heard, scored)) = scores.get(pair.generated.provenance.path.as_path()) else { return Ok(()) };
        report.results.extend(rows(sets, pair, heard, scored, options.map)?);
        Ok(())
    })?;
    report.generated.extend(scores.into_values().map(|(set, _)| set.provenance));
    Ok(report)
}

fn rows(sets: &Sets, pair: &Pair, heard: &Set, scored: &Scored, map: FasMap) -> Result<[Row; 3], EvaluateError> {
    let reference = pair.reference.gaussian()?;
    let fad = pair.generated.gaussian()?.frechet_distance(reference).map_err(|source| EvaluateError::Frechet {
        reference: pair.reference.provenance.path.clone(),
        generated: pair.generated.provenance.path.clone(),
        source,
    })?;
    let value = clas(scored.value, fad, map);
    // The clips of one model's set may lack some of the other's.
    let cosines: BTreeMap<&String, Option<f64>> =
        heard.vectors("CLAS")?.names().iter().zip(scored.cosines.iter().copied()).collect();
    let interval = pair.generated.vectors.as_ref().and_then(|vectors| {
        let of_clips: Vec<Option<f64>> =
            vectors.names().iter().map(|name| cosines.get(name).copied().flatten()).collect();
        clas_interval(reference, vectors, &of_clips, map, value, &sets.bootstrap)
    });
    let details = json!({ "map": map });
    Ok([
        pair.row("fad", fad, None, Value::Null),
        pair.row("fas", map.score(fad), None, details.clone()),
        pair.row("clas", value, interval, details),
    ])
}

impl<'a> Scorer<'a> {
    fn new(model: ClapModel, captions: &'a Captions, hearing: &'a Hearing<'a>) -> Result<Self, EvaluateError> {
        Ok(Self { captions, encoder: Encoder::new(model.training(), model.names()[0], hearing)? })
    }

    /// Scores a set, and tells the report the score, each clip's, and what has no partner.
    fn score(&mut self, sets: &Sets, set: &Set, report: &mut Report) -> Result<Scored, EvaluateError> {
        let (path, vectors) = (&set.provenance.path, set.vectors("the CLAP score")?);
        let fault = |source| EvaluateError::Captioned { path: path.clone(), source };
        let (mut clips, mut places, mut alone) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (place, name) in vectors.names().iter().enumerate() {
            let reason = match self.captions.ids().find(&id_of(Path::new(name))) {
                Ok(Some(id)) if !clips.contains_key(id) => {
                    // Of one vector, unless the set is embeddings of another make.
                    clips.extend(vectors.clip(place).mean_axis(Axis(0)).map(|mean| (id.to_owned(), mean)));
                    places.insert(id.to_owned(), place);
                    continue;
                }
                Ok(Some(id)) => format!("another clip is {id:?}"),
                Ok(None) => format!("no caption in {}", self.captions.path.display()),
                Err(reason) => reason,
            };
            alone.push((name, reason));
        }
        let ids: Vec<&String> = self.captions.ids().iter().collect();
        if clips.is_empty() {
            let caption = ids.first().map(|id| (*id).clone());
            return Err(fault(ClapScoreError::NoPairs { caption, clip: vectors.names().first().cloned() }));
        }
        let texts: Vec<&str> = clips.keys().map(|id| self.captions.get(id)).collect();
        let texts: BTreeMap<String, Array1<f32>> = clips.keys().cloned().zip(self.encoder.vectors(&texts)?).collect();
        let score = clap_score(&texts, &clips, &sets.bootstrap).map_err(fault)?;

        let reason = format!("captioned in {}, and not there", self.captions.path.display());
        alone.extend(ids.into_iter().filter(|id| !clips.contains_key(*id)).map(|id| (id, reason.clone())));
        let skip = |(name, reason): (&String, String)| Skipped::new(path.join(name), &reason);
        report.unpaired.extend(alone.into_iter().map(skip));
        let details = json!({ "pairs": score.pairs.len() });
        let row = Row::new(&set.provenance, "clap", score.value, score.interval, details);
        report.results.push(Row { reference: Some(self.captions.path.clone()), ..row });
        let mut cosines = vec![None; vectors.clips()];
        for (id, cosine) in &score.pairs {
            let place = places[id];
            cosines[place] = Some(*cosine);
            report.songs.push(Song {
                model: set.provenance.model.clone(),
                metric: "clap",
                reference: self.captions.path.clone(),
                generated: path.clone(),
                clip: vectors.names()[place].clone(),
                value: Some(*cosine),
            });
        }
        Ok(Scored { value: score.value, cosines })
    }
}

/// Which captions they were.
fn about(captions: &Captions) -> Value {
    json!({ "path": captions.path, "sha256": captions.sha256, "count": captions.count() })
}
