//! Does the music fit its caption? The CLAP score, and CLAS, which joins it with a Fréchet distance.

use std::collections::BTreeMap;

use ndarray::{Array1, ArrayView1};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Bootstrap, Draws, Embeddings, Gaussian, Interval};

/// Captions and clips that cannot be paired.
#[derive(Debug, PartialEq, Error)]
pub enum ClapScoreError {
    /// No id is on both sides.
    #[error("no clip has the id of a caption; the first caption's is {caption:?}, the first clip's {clip:?}")]
    NoPairs {
        /// The first caption's id.
        caption: Option<String>,
        /// The first clip's.
        clip: Option<String>,
    },
    /// Text and audio embeddings of different models.
    #[error("{id}: the clip's embedding has {found} dimensions, its caption's {expected}")]
    Dimension {
        /// Of the pair.
        id: String,
        /// The clip's.
        found: usize,
        /// The caption's.
        expected: usize,
    },
}

/// The score of a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClapScore {
    /// The mean of all pairs' cosines.
    pub value: f64,
    /// Where it probably is.
    pub interval: Option<Interval>,
    /// Cosine by id.
    pub pairs: Vec<(String, f64)>,
    /// Captions without a clip.
    pub captions_alone: Vec<String>,
    /// Clips without a caption.
    pub clips_alone: Vec<String>,
}

/// The mean cosine between captions and clips of the same id; never by order of files.
///
/// # Shapes
/// - captions, clips: `[dim]` each
pub fn clap_score(
    captions: &BTreeMap<String, Array1<f32>>,
    clips: &BTreeMap<String, Array1<f32>>,
    bootstrap: &Bootstrap,
) -> Result<ClapScore, ClapScoreError> {
    let mut pairs = Vec::new();
    for (id, caption) in captions {
        let Some(clip) = clips.get(id) else { continue };
        let (expected, found) = (caption.len(), clip.len());
        if found != expected {
            return Err(ClapScoreError::Dimension { id: id.clone(), found, expected });
        }
        pairs.push((id.clone(), cosine(caption.view(), clip.view())));
    }
    if pairs.is_empty() {
        let first = |side: &BTreeMap<String, Array1<f32>>| side.keys().next().cloned();
        return Err(ClapScoreError::NoPairs { caption: first(captions), clip: first(clips) });
    }
    let alone = |side: &BTreeMap<String, Array1<f32>>, other: &BTreeMap<String, Array1<f32>>| {
        side.keys().filter(|id| !other.contains_key(*id)).cloned().collect()
    };
    let mean = |times: &[u32]| {
        let weighted = pairs.iter().zip(times).map(|((_, cosine), times)| f64::from(*times) * cosine);
        let count: f64 = times.iter().map(|times| f64::from(*times)).sum();
        Some(weighted.sum::<f64>() / count)
    };
    let value = pairs.iter().map(|(_, cosine)| cosine).sum::<f64>() / pairs.len() as f64;
    Ok(ClapScore {
        value,
        interval: bootstrap.interval(pairs.len(), value, mean),
        captions_alone: alone(captions, clips),
        clips_alone: alone(clips, captions),
        pairs,
    })
}

/// The cosine of the angle between two vectors; 0 where one has no length.
///
/// # Shapes
/// - a, b: `[dim]`
pub fn cosine(a: ArrayView1<f32>, b: ArrayView1<f32>) -> f64 {
    let product = |a: ArrayView1<f32>, b: ArrayView1<f32>| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let lengths = (product(a, a) * product(b, b)).sqrt();
    if lengths > 0.0 { product(a, b) / lengths } else { 0.0 }
}

/// How a Fréchet distance becomes a score from 0 (far) to 1 (no distance).
///
/// CLAS comes from a challenge (Zalo AI 2023) that never published its own map from FAD to FAS; none of these is it, and
/// numbers of different maps do not compare.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FasMap {
    /// 1 / (1 + FAD).
    Inverse,
    /// exp(−FAD).
    Exp,
    /// 1 − FAD / `zero`, and 0 beyond.
    Linear {
        /// The distance that scores 0.
        zero: f64,
    },
}

impl FasMap {
    /// FAS.
    pub fn score(self, fad: f64) -> f64 {
        match self {
            Self::Inverse => 1.0 / (1.0 + fad),
            Self::Exp => (-fad).exp(),
            Self::Linear { zero } => (1.0 - fad / zero).max(0.0),
        }
    }
}

/// (CLAP + FAS) / 2.
pub fn clas(clap_score: f64, fad: f64, map: FasMap) -> f64 {
    f64::midpoint(clap_score, map.score(fad))
}

/// Where CLAS probably is: clips are drawn again for both of its halves at once. A draw in which no clip has a caption is left
/// out.
///
/// `cosines` are those of the generated clips with their captions, by the clips' order, where there is one.
pub fn clas_interval(
    reference: &Gaussian,
    generated: &Embeddings,
    cosines: &[Option<f64>],
    map: FasMap,
    estimate: f64,
    bootstrap: &Bootstrap,
) -> Option<Interval> {
    let clip_of = generated.clip_of_frames();
    let draws = Draws::of(generated.vectors());
    bootstrap.interval(generated.clips(), estimate, |times| {
        let (mut sum, mut count) = (0.0, 0.0);
        for (cosine, times) in cosines.iter().zip(times).filter_map(|(cosine, times)| Some(((*cosine)?, times))) {
            sum += f64::from(*times) * cosine;
            count += f64::from(*times);
        }
        let fad = draws.gaussian(|row| times[clip_of[row]]).ok()?.frechet_distance(reference).ok()?;
        (count > 0.0).then(|| clas(sum / count, fad, map))
    })
}
