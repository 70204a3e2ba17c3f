//! Where the clips of all sets of a run lie to each other, seen from where they differ most.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis, concatenate};
use nocturne_evaluation::{Plane, clip_means};
use serde::Serialize;

use super::Set;

/// The clips of all sets under one model, in the plane of their means' first two principal components.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Map {
    /// Whose vectors.
    pub model: String,
    /// The share of the variance that either axis shows.
    pub explained: [f64; 2],
    /// The references first.
    pub sets: Vec<MappedSet>,
}

/// One set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MappedSet {
    /// As it was given.
    pub path: PathBuf,
    /// Whether it is taken for true.
    pub is_reference: bool,
    /// Its clips.
    pub clips: Vec<MappedClip>,
}

/// One clip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MappedClip {
    /// Its name below the set's folder.
    pub name: String,
    /// Where its mean is.
    pub place: [f64; 2],
    /// How far it is from the middle of the references, in their standard deviations along the axes.
    pub farness: f64,
}

/// Gathers sets for maps: one for each model.
#[derive(Default)]
pub(super) struct Mapper {
    models: Vec<(String, Vec<Clips>)>,
}

struct Clips {
    path: PathBuf,
    is_reference: bool,
    names: Vec<String>,
    /// `[clip, dim]`.
    means: Array2<f32>,
}

impl Mapper {
    /// Adds a set. Statistics have no clips.
    pub fn add(&mut self, set: &Set, is_reference: bool) {
        let Some(vectors) = &set.vectors else { return };
        let model = &set.provenance.model;
        let place = self.models.iter().position(|(known, _)| known == model).unwrap_or_else(|| {
            self.models.push((model.clone(), Vec::new()));
            self.models.len() - 1
        });
        let (path, names) = (set.provenance.path.clone(), vectors.names().to_vec());
        self.models[place].1.push(Clips { path, is_reference, names, means: clip_means(vectors) });
    }

    /// The maps of those models whose clips differ.
    pub fn finish(self) -> Vec<Map> {
        self.models.into_iter().filter_map(|(model, sets)| map(model, &sets)).collect()
    }
}

fn map(model: String, sets: &[Clips]) -> Option<Map> {
    let views: Vec<_> = sets.iter().map(|set| set.means.view()).collect();
    let plane = Plane::of(concatenate(Axis(0), &views).ok()?.view())?;
    let places = |set: &Clips| set.means.outer_iter().map(|mean| plane.place(mean)).collect::<Vec<_>>();
    let references: Vec<[f64; 2]> = sets.iter().filter(|set| set.is_reference).flat_map(places).collect();
    // Where the references are statistics, the middle of all clips stands in for theirs.
    let middle = if references.is_empty() { sets.iter().flat_map(places).collect() } else { references };
    let along = |axis: usize| {
        let count = middle.len() as f64;
        let mean = middle.iter().map(|place| place[axis]).sum::<f64>() / count;
        let variance = middle.iter().map(|place| (place[axis] - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt().max(f64::MIN_POSITIVE))
    };
    let axes = [along(0), along(1)];
    let farness = |place: [f64; 2]| {
        let [x, y] = [0, 1].map(|axis| (place[axis] - axes[axis].0) / axes[axis].1);
        x.hypot(y)
    };
    let mapped = |set: &Clips| MappedSet {
        path: set.path.clone(),
        is_reference: set.is_reference,
        clips: set
            .names
            .iter()
            .zip(places(set))
            .map(|(name, place)| MappedClip { name: name.clone(), place, farness: farness(place) })
            .collect(),
    };
    let mut mapped: Vec<MappedSet> = sets.iter().map(mapped).collect();
    mapped.sort_by_key(|set| !set.is_reference);
    Some(Map { model, explained: plane.explained, sets: mapped })
}

impl MappedSet {
    /// The places of its farthest clips, the farthest first.
    pub fn outliers(&self, most: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.clips.len()).collect();
        places.sort_by(|a, b| self.clips[*b].farness.total_cmp(&self.clips[*a].farness));
        places.truncate(most);
        places
    }

    /// A clip's file.
    pub fn file(&self, clip: &MappedClip) -> PathBuf {
        Path::new(&self.path).join(&clip.name)
    }
}
