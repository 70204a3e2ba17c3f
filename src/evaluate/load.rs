//! A set, read: audio through an embedder and its cache, embeddings and statistics from their files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use ndarray::Array2;
use nocturne_evaluation::fadtk::stored;
use rayon::prelude::*;

use super::hear::{Hearer, Vectors};
use super::intake::{Keep, Kept, Tally};
use super::listener::{Listener, Weights};
use super::set::{Set, statistics};
use super::source::Source;
use super::{EvaluateError, Hearing, Manifest};
use crate::dataset::Shard;
use crate::hash;
use crate::npy;
use crate::skipped::Skipped;

/// Files that are in memory at once, for each thread.
const FILES_A_THREAD: usize = 4;

/// Reads sets, under several models at once.
pub struct Loader<'a> {
    hearing: &'a Hearing<'a>,
    listeners: Vec<Listener<'a>>,
    /// Vectors and means are rounded as fadtk rounds them.
    pub fadtk_rounding: bool,
    /// One N-th of the files.
    pub shard: Option<Shard>,
}

/// One file's vectors.
pub struct Clip {
    /// The model's place in the job.
    pub model: usize,
    /// Its name below the set's folder.
    pub name: PathBuf,
    /// `[frame, dim]`.
    pub vectors: Array2<f32>,
}

impl<'a> Loader<'a> {
    /// For these models.
    pub fn new(hearing: &'a Hearing<'a>, models: &[String]) -> Self {
        let listeners = models.iter().map(|model| Listener::new(model, hearing)).collect();
        Self { hearing, listeners, fadtk_rounding: false, shard: None }
    }

    /// The models' names.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(Listener::name)
    }

    /// The weights of the models that heard something.
    pub fn weights(&self) -> Vec<Weights> {
        self.listeners.iter().filter_map(Listener::weights).cloned().collect()
    }

    /// Reads a set, or what a manifest names of it: under each model. `progress` hears how many files are done, and of how many.
    pub fn load(
        &self,
        path: &Path,
        manifest: Option<&Manifest>,
        keep: Keep,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Vec<Set>, EvaluateError> {
        let mut kept: Vec<Kept> = self.listeners.iter().map(|_| Kept::new(keep)).collect();
        let sets = self.clips(path, manifest, &mut progress, |clip| {
            let (name, vectors) = (clip.name, clip.vectors.view());
            let fault = |source| EvaluateError::Clip { path: path.join(&name), source };
            kept[clip.model].add(name.display().to_string(), vectors, self.fadtk_rounding).map_err(fault)
        })?;
        let whole = |(set, kept): (Set, Kept)| if set.moments.is_none() { kept.into_set(set) } else { set };
        Ok(sets.into_iter().zip(kept).map(whole).collect())
    }

    /// Hands every clip on, in the order of names and of models, and tells where they came from. Of statistics there are none.
    pub fn clips(
        &self,
        path: &Path,
        manifest: Option<&Manifest>,
        progress: &mut dyn FnMut(usize, usize),
        mut hand: impl FnMut(Clip) -> Result<(), EvaluateError>,
    ) -> Result<Vec<Set>, EvaluateError> {
        let sources = self.listeners.iter().map(|listener| Source::find(path, listener));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let mut sets: Vec<Option<Set>> = sources.iter().map(|_| None).collect();
        let hearing = |source: &&Source| matches!(source, Source::Audio(..));
        let heard: Vec<usize> = (0..sources.len()).filter(|place| hearing(&&sources[*place])).collect();
        if let Some(Source::Audio(files, unfollowed)) = sources.iter().find(hearing) {
            let mut hearer = Hearer::new(&self.listeners, &heard, self.hearing.profile)?;
            let chosen = self.choose(files, unfollowed, manifest);
            let read = |names: &[PathBuf]| {
                let paths: Vec<PathBuf> = names.iter().map(|name| path.join(name)).collect();
                let files = hearer.hear(&paths)?.into_iter();
                Ok(files.map(|file| file.map(|file| (file.hash, file.vectors))).collect())
            };
            let found = self.read((path, "audio"), &heard, &chosen, progress, read, &mut hand)?;
            for (place, set) in heard.iter().zip(found) {
                sets[*place] = Some(set);
            }
        }
        for (place, source) in sources.iter().enumerate() {
            match source {
                Source::Audio(..) => {}
                Source::Vectors(root, files) => {
                    let chosen = self.choose(files, &[], manifest);
                    let read =
                        |names: &[PathBuf]| Ok(names.par_iter().map(|name| read_vectors(&root.join(name))).collect());
                    let found = self.read((path, "embeddings"), &[place], &chosen, progress, read, &mut hand)?;
                    sets[place] = found.into_iter().next();
                }
                Source::Packed | Source::Loose(_) => {
                    sets[place] = Some(statistics(path, self.listeners[place].name(), source)?);
                }
            }
        }
        Ok(sets.into_iter().flatten().collect())
    }

    /// The files to be read, and those that are left out before.
    fn choose(
        &self,
        files: &[PathBuf],
        unfollowed: &[(PathBuf, &'static str)],
        manifest: Option<&Manifest>,
    ) -> (Vec<PathBuf>, Vec<Skipped>) {
        let mut skipped: Vec<Skipped> = unfollowed.iter().map(|(name, reason)| Skipped::new(name, reason)).collect();
        skipped.iter().for_each(Skipped::warn);
        let mut files = files.to_vec();
        if let Some(manifest) = manifest {
            let (chosen, absent) = manifest.choose(files);
            files = chosen;
            skipped.extend(absent);
        }
        if let Some(shard) = self.shard {
            files = files[shard.range(files.len())].to_vec();
        }
        (files, skipped)
    }

    /// Reads files, some at a time, for the models of `places`.
    fn read(
        &self,
        (path, kind): (&Path, &'static str),
        places: &[usize],
        (files, skipped): &(Vec<PathBuf>, Vec<Skipped>),
        progress: &mut dyn FnMut(usize, usize),
        mut read: impl FnMut(&[PathBuf]) -> Result<Vec<Result<(String, Vec<Vectors>), String>>, EvaluateError>,
        hand: &mut impl FnMut(Clip) -> Result<(), EvaluateError>,
    ) -> Result<Vec<Set>, EvaluateError> {
        let mut tallies: Vec<Tally> = places.iter().map(|_| Tally::new(skipped)).collect();
        progress(0, files.len());
        let mut done = 0;
        for batch in files.chunks(FILES_A_THREAD * rayon::current_num_threads()) {
            if self.hearing.stop.load(Ordering::Relaxed) {
                return Err(EvaluateError::Interrupted);
            }
            for (name, file) in batch.iter().zip(read(batch)?) {
                let (hash, vectors) = match file {
                    Ok(file) => file,
                    Err(reason) => {
                        Skipped::new(name, &reason).warn();
                        for tally in &mut tallies {
                            tally.skip(name, &reason);
                        }
                        continue;
                    }
                };
                for ((place, tally), vectors) in places.iter().zip(&mut tallies).zip(vectors) {
                    if let Some(values) = tally.take(name, &hash, vectors) {
                        let vectors = if self.fadtk_rounding { stored(values.view()) } else { values };
                        hand(Clip { model: *place, name: name.clone(), vectors })?;
                    }
                }
            }
            done += batch.len();
            progress(done, files.len());
        }
        let set = |(place, tally): (&usize, Tally)| {
            let model = self.listeners[*place].name();
            Ok(Set::new(tally.provenance(path, model, kind, files.len())?, None))
        };
        places.iter().zip(tallies).map(set).collect()
    }
}

/// Embeddings of one file; the error is in words, for `skipped.jsonl`.
fn read_vectors(path: &Path) -> Result<(String, Vec<Vectors>), String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    Ok((hash::of_bytes(&bytes), vec![Vectors { values: vectors_of(&bytes, path)?, from_cache: false }]))
}

/// `[frame, dim]`, or `[dim]` as one frame.
fn vectors_of(bytes: &[u8], path: &Path) -> Result<Array2<f32>, String> {
    let array = npy::floats_of(bytes, path).map_err(|error| error.to_string())?;
    let (frames, dim) = match array.shape[..] {
        [dim] => (1, dim),
        [frames, dim] => (frames, dim),
        _ => return Err(format!("an array of shape {:?}, expected [frame, dim]", array.shape)),
    };
    let values = array.values.into_iter().map(|value| value as f32).collect();
    Array2::from_shape_vec((frames, dim), values).map_err(|error| error.to_string())
}
