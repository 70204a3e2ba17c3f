//! Sound files through several models at once: each is read and decoded once, and only if some model does not know it yet.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis, concatenate};
use nocturne_evaluation::embedder::Embedder;
use nocturne_vocoder::audio::{Audio, MAX_SAMPLES, decode_bytes};
use rayon::prelude::*;

use super::cache::Cache;
use super::listener::Listener;
use super::{EvaluateError, Profile};
use crate::hash;

/// Samples that may wait for the networks, beside one file a thread: 32 MiB, which some networks hear at six times the rate.
const WAITING: usize = 1 << 23;

/// Hears files with some of a job's models.
pub struct Hearer<'a> {
    listeners: &'a [Listener<'a>],
    /// Who is to hear, and what each has kept.
    hearing: Vec<(&'a Listener<'a>, Option<Cache>)>,
    profile: Profile,
    told: bool,
}

/// One file, heard by all.
pub struct Heard {
    /// Of its bytes.
    pub hash: String,
    /// By the models in their order.
    pub vectors: Vec<Vectors>,
}

/// What one model made of a file.
#[derive(Clone)]
pub struct Vectors {
    /// `[frame, dim]`.
    pub values: Array2<f32>,
    /// They were made before.
    pub from_cache: bool,
}

/// A file on its way.
struct File {
    hash: String,
    /// Empty where every model knows the file.
    clips: Vec<Audio>,
    vectors: Vec<Option<Vectors>>,
}

impl<'a> Hearer<'a> {
    /// For the models of these places among the listeners.
    pub fn new(listeners: &'a [Listener<'a>], places: &[usize], profile: Profile) -> Result<Self, EvaluateError> {
        let hearing = places.iter().map(|place| Ok((&listeners[*place], listeners[*place].cache()?)));
        let hearing = hearing.collect::<Result<_, EvaluateError>>()?;
        Ok(Self { listeners, hearing, profile, told: false })
    }

    /// The vectors of some files, in their order; of one that cannot be used, why, in words.
    pub fn hear(&mut self, paths: &[PathBuf]) -> Result<Vec<Result<Heard, String>>, EvaluateError> {
        let mut files: Vec<Result<File, String>> = Vec::with_capacity(paths.len());
        for group in paths.chunks(rayon::current_num_threads()) {
            let read: Vec<_> = group.par_iter().map(|path| self.read(path)).collect();
            files.extend(read);
            let waiting: usize = files.iter().flatten().flat_map(|file| &file.clips).map(Audio::frames).sum();
            if waiting >= WAITING {
                self.listen(&mut files)?;
            }
        }
        self.listen(&mut files)?;
        let heard = |file: File| Heard { hash: file.hash, vectors: file.vectors.into_iter().flatten().collect() };
        Ok(files.into_iter().map(|file| file.map(heard)).collect())
    }

    fn read(&self, path: &Path) -> Result<File, String> {
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        let hash = hash::of_bytes(&bytes);
        let kept = |cache: &Option<Cache>| {
            let values = cache.as_ref()?.find(&hash)?;
            Some(Vectors { values, from_cache: true })
        };
        let vectors: Vec<Option<Vectors>> = self.hearing.iter().map(|(_, cache)| kept(cache)).collect();
        if vectors.iter().all(Option::is_some) {
            return Ok(File { hash, clips: Vec::new(), vectors });
        }
        let decoded = decode_bytes(bytes, path, MAX_SAMPLES).map_err(|error| error.to_string())?;
        for warning in &decoded.warnings {
            tracing::warn!(file = %path.display(), "{warning}");
        }
        Ok(File { hash, clips: self.profile.clips(decoded.audio), vectors })
    }

    /// Fills in what is missing, and lets the sound go.
    fn listen(&mut self, files: &mut [Result<File, String>]) -> Result<(), EvaluateError> {
        for (place, (listener, _)) in self.hearing.iter().enumerate() {
            let mut unheard: Vec<&mut File> =
                files.iter_mut().flatten().filter(|file| file.vectors[place].is_none()).collect();
            if unheard.is_empty() {
                continue;
            }
            let network = listener.network(self.listeners)?;
            // What one pass tells several, none has to ask for again.
            let is_waiting = |place: &usize| unheard.iter().any(|file| file.vectors[*place].is_none());
            let waiting: Vec<usize> = (place..self.hearing.len()).filter(is_waiting).collect();
            let names: Vec<&str> = waiting.iter().map(|place| self.hearing[*place].0.name()).collect();
            for (place, vectors) in waiting.into_iter().zip(embed(network, &names, &unheard)) {
                let cache = &self.hearing[place].1;
                for (file, values) in unheard.iter_mut().zip(vectors.into_iter().flatten()) {
                    if file.vectors[place].is_some() {
                        continue;
                    }
                    let kept = cache.as_ref().map_or(Ok(()), |cache| cache.keep(&file.hash, values.view()));
                    tell_once(&mut self.told, kept);
                    file.vectors[place] = Some(Vectors { values, from_cache: false });
                }
            }
        }
        for file in files.iter_mut().flatten() {
            file.clips = Vec::new();
        }
        Ok(())
    }
}

/// The vectors of each file by each of these names that the network knows: those of its clips, one after the other.
fn embed(network: &dyn Embedder, names: &[&str], files: &[&mut File]) -> Vec<Option<Vec<Array2<f32>>>> {
    let clips: Vec<&Audio> = files.iter().flat_map(|file| &file.clips).collect();
    let by_file = |vectors: Vec<Array2<f32>>| {
        let mut vectors = vectors.into_iter();
        let of_file = |file: &&mut File| {
            let clips: Vec<Array2<f32>> = vectors.by_ref().take(file.clips.len()).collect();
            let views: Vec<_> = clips.iter().map(|clip| clip.view()).collect();
            concatenate(Axis(0), &views).unwrap_or_else(|_| Array2::zeros((0, network.dim())))
        };
        files.iter().map(of_file).collect()
    };
    network.embed_as(names, &clips).into_iter().map(|vectors| vectors.map(by_file)).collect()
}

/// A cache that cannot be written to costs time, and nothing else.
fn tell_once(told: &mut bool, kept: io::Result<()>) {
    if let (Err(error), false) = (kept, *told) {
        *told = true;
        tracing::warn!("embeddings cannot be cached: {error}");
    }
}
