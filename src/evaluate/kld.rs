//! What a classifier hears: the Kullback-Leibler divergence of generated clips from the references of the same name, and the
//! Inception score, which needs none.

use ndarray::{Array2, Axis};
use nocturne_evaluation::panns::{Logits, Rate, Segments};
use nocturne_evaluation::{
    Direction, Pooling, clip_divergence, inception_score, inception_score_interval, mean_over_clips, softmax,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::ids::matched;
use super::{EvaluateError, Keep, Loader, OnProgress, Pair, Report, Row, Sets};
use crate::skipped::Skipped;

/// How a clip is cut, and its parts are brought together: as one of the published toolkits does it. See
/// [`Segments`] and [`Pooling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ClipPooling {
    /// Ten seconds after ten seconds, each an item of its own: audiocraft.
    Segments,
    /// The clip at once: `audioldm_eval`.
    Whole,
    /// Ten seconds each five, the mean of their logits: stable-audio-metrics.
    Mean,
    /// Ten seconds each five, the largest of their logits: stable-audio-metrics' other choice.
    Max,
}

/// Which Cnn14 classifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Classifier {
    /// Of 16 kHz.
    #[value(name = "panns-cnn14-16k")]
    Khz16,
    /// Of 32 kHz.
    #[default]
    #[value(name = "panns-cnn14-32k")]
    Khz32,
}

/// What is made.
#[derive(Clone, Debug, PartialEq)]
pub struct KldOptions {
    /// Who hears.
    pub classifier: Classifier,
    /// In this order.
    pub poolings: Vec<ClipPooling>,
}

impl Classifier {
    /// The name of its predictions of such segments.
    fn model(self, segments: Segments) -> &'static str {
        let rate = match self {
            Self::Khz16 => Rate::Khz16,
            Self::Khz32 => Rate::Khz32,
        };
        let wanted = |(_, known, cut): &&(&str, Rate, Segments)| (*known, *cut) == (rate, segments);
        Logits::NAMES.iter().find(wanted).map_or("", |(name, ..)| name)
    }
}

impl ClipPooling {
    fn name(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Whole => "whole",
            Self::Mean => "mean",
            Self::Max => "max",
        }
    }

    fn parts(self) -> (Segments, Pooling) {
        match self {
            Self::Segments => (Segments::Apart, Pooling::Segments),
            // Of one segment, all poolings are the same.
            Self::Whole => (Segments::Whole, Pooling::MeanLogits),
            Self::Mean => (Segments::Overlapping, Pooling::MeanLogits),
            Self::Max => (Segments::Overlapping, Pooling::MaxLogits),
        }
    }
}

/// The divergences of all generated sets from all references, in both directions.
pub fn kld(sets: &Sets, options: &KldOptions, progress: &mut OnProgress) -> Result<Report, EvaluateError> {
    let model = |pooling: &ClipPooling| options.classifier.model(pooling.parts().0).to_owned();
    let mut models: Vec<String> = Vec::new();
    for name in options.poolings.iter().map(model) {
        if !models.contains(&name) {
            models.push(name);
        }
    }
    let report = Report::new(json!({
        "command": "kld",
        "models": models,
        "poolings": options.poolings,
        "profile": sets.hearing.profile,
        "bootstrap": sets.bootstrap,
    }));
    let loader = Loader::new(sets.hearing, &models);
    sets.compare(&loader, [Keep::Vectors; 2], report, progress, |pair, report| {
        for pooling in options.poolings.iter().filter(|pooling| model(pooling) == pair.generated.provenance.model) {
            let there = divergence(sets, pair, *pooling, Direction::ReferenceToGenerated)?;
            let back = divergence(sets, pair, *pooling, Direction::GeneratedToReference)?;
            report.results.extend([there.0, back.0]);
            // They are the same both ways.
            report.unpaired.extend(there.1);
        }
        Ok(())
    })
}

fn divergence(
    sets: &Sets,
    pair: &Pair,
    pooling: ClipPooling,
    direction: Direction,
) -> Result<(Row, Vec<Skipped>), EvaluateError> {
    let what = "a divergence";
    let (theirs, ours) = (pair.reference.vectors(what)?, pair.generated.vectors(what)?);
    let matched = matched(pair.reference, pair.generated)?;
    let mut unpaired = matched.alone;
    let mut clips = Vec::new();
    for [reference, generated] in matched.pairs {
        match clip_divergence(theirs.clip(reference), ours.clip(generated), pooling.parts().1, direction) {
            Ok(divergences) => clips.push(divergences),
            // Such as clips of other lengths, whose segments have no partners.
            Err(error) => {
                let audio_file = pair.generated.provenance.path.join(&ours.names()[generated]);
                let reason = format!("compared with {}: {error}", pair.reference.provenance.path.display());
                unpaired.push(Skipped::new(audio_file, &reason));
            }
        }
    }
    let Some((value, interval)) = mean_over_clips(&clips, &sets.bootstrap) else {
        let reason = unpaired.first().map_or(String::new(), |unpaired| unpaired.reason.clone());
        let path = pair.generated.provenance.path.clone();
        return Err(EvaluateError::AllSkipped { path, clips: unpaired.len(), reason });
    };
    let way = match direction {
        Direction::ReferenceToGenerated => "ref_gen",
        Direction::GeneratedToReference => "gen_ref",
    };
    let details = json!({ "direction": direction, "pooling": pooling, "pairs": clips.len() });
    Ok((pair.row(format!("kld_{way}_{}", pooling.name()), value, interval, details), unpaired))
}

/// The Inception scores of all generated sets, whose clips are heard whole.
pub fn inception(sets: &Sets, classifier: Classifier, progress: &mut OnProgress) -> Result<Report, EvaluateError> {
    let models = [classifier.model(Segments::Whole).to_owned()];
    let report = Report::new(json!({
        "command": "inception",
        "models": models,
        "profile": sets.hearing.profile,
        "bootstrap": sets.bootstrap,
    }));
    let loader = Loader::new(sets.hearing, &models);
    sets.each(&loader, Keep::Vectors, report, progress, |sets_of_models, report| {
        for set in sets_of_models {
            let logits = set.vectors("the Inception score")?;
            let classes = |clip: usize| logits.clip(clip).mean_axis(Axis(0)).map(|mean| softmax(mean.view()));
            let rows: Vec<_> = (0..logits.clips()).filter_map(classes).collect();
            let probabilities = Array2::from_shape_fn((rows.len(), logits.dim()), |(clip, class)| rows[clip][class]);
            let fault = |source| EvaluateError::Classes { path: set.provenance.path.clone(), source };
            let value = inception_score(probabilities.view()).map_err(fault)?;
            let interval = inception_score_interval(probabilities.view(), &sets.bootstrap);
            report.results.push(Row::new(&set.provenance, "inception", value, interval, Value::Null));
        }
        Ok(())
    })
}
