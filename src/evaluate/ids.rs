//! Clips and what is said of them elsewhere, brought together by their ids, never by the order of files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{EvaluateError, Set};
use crate::encodings::{ShortNames, captions};
use crate::skipped::Skipped;

/// A clip's id: its name without the extension.
pub fn id_of(name: &Path) -> String {
    name.with_extension("").to_string_lossy().into_owned()
}

/// Ids to be found.
pub struct Ids {
    exact: BTreeSet<String>,
    short: ShortNames,
}

impl Ids {
    /// Of these ids.
    pub fn new(ids: impl IntoIterator<Item = String>) -> Self {
        let exact: BTreeSet<String> = ids.into_iter().collect();
        Self { short: ShortNames::new(exact.iter()), exact }
    }

    /// All of them, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        self.exact.iter()
    }

    /// The id that this one means: itself; else the one that has the same name without its folder; else without an audio file's
    /// extension. None is nothing to find, several are an error in words.
    pub fn find(&self, id: &str) -> Result<Option<&str>, String> {
        if let Some(exact) = self.exact.get(id) {
            return Ok(Some(exact));
        }
        match self.short.find(id) {
            None => Ok(None),
            Some((only, None)) => Ok(Some(only)),
            Some((first, Some(second))) => Err(format!("{id:?} may mean {first:?} or {second:?}, among others")),
        }
    }
}

/// Clips of two sets that have one id.
pub struct Matched {
    /// The places of a reference's clip and of a generated one, in the order of the latter.
    pub pairs: Vec<[usize; 2]>,
    /// Generated clips that have no other, with the reason.
    pub alone: Vec<Skipped>,
}

/// Brings together what has one name.
pub fn matched(reference: &Set, generated: &Set) -> Result<Matched, EvaluateError> {
    let what = "a comparison clip by clip";
    let (theirs, ours) = (reference.vectors(what)?.names(), generated.vectors(what)?.names());
    let places: BTreeMap<String, usize> = theirs.iter().map(|name| id_of(Path::new(name))).zip(0..).collect();
    let ids = Ids::new(places.keys().cloned());
    let mut matched = Matched { pairs: Vec::new(), alone: Vec::new() };
    for (ours, name) in ours.iter().enumerate() {
        let reason = match ids.find(&id_of(Path::new(name))) {
            Ok(Some(id)) => {
                matched.pairs.push([places[id], ours]);
                continue;
            }
            Ok(None) => format!("no clip of this name in {}", reference.provenance.path.display()),
            Err(reason) => reason,
        };
        matched.alone.push(Skipped::new(generated.provenance.path.join(name), &reason));
    }
    match (theirs.first(), ours.first(), matched.pairs.is_empty()) {
        (Some(theirs), Some(ours), true) => Err(EvaluateError::NoPairs {
            reference: reference.provenance.path.join(theirs),
            generated: generated.provenance.path.join(ours),
        }),
        _ => Ok(matched),
    }
}

/// Which clips make a set: `MusicCaps`' file, FMA's metadata, or any file of captions.
pub struct Manifest {
    path: PathBuf,
    ids: Ids,
}

impl Manifest {
    /// Reads the ids of a CSV, JSON or Parquet file; see [`captions::ids`].
    pub fn open(path: &Path) -> Result<Self, EvaluateError> {
        Ok(Self { path: path.to_owned(), ids: Ids::new(captions::ids(path)?) })
    }

    /// Those of a set's files that the manifest names; and with a reason, what it names and is not there, or not once.
    pub(super) fn choose(&self, files: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<Skipped>) {
        let (mut chosen, mut skipped) = (Vec::new(), Vec::new());
        let mut missing: BTreeSet<&str> = self.ids.iter().map(String::as_str).collect();
        for file in files {
            let reason = match self.ids.find(&id_of(&file)) {
                Ok(None) => continue,
                Ok(Some(id)) if missing.remove(id) => {
                    chosen.push(file);
                    continue;
                }
                Ok(Some(id)) => format!("another file is {id:?}"),
                Err(reason) => reason,
            };
            skipped.push(Skipped::new(file, &reason));
        }
        let reason = format!("named in {}, and not there", self.path.display());
        skipped.extend(missing.into_iter().map(|id| Skipped::new(id, &reason)));
        (chosen, skipped)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chosen(manifest: (&str, &str), files: &[&str]) -> (Vec<String>, Vec<(String, String)>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(manifest.0);
        std::fs::write(&path, manifest.1).unwrap();
        let (chosen, skipped) = Manifest::open(&path).unwrap().choose(files.iter().map(PathBuf::from).collect());
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let skipped = skipped.iter().map(|skipped| (skipped.audio_file.clone(), skipped.reason.clone()));
        (chosen.iter().map(|path| text(path)).collect(), skipped.collect())
    }

    #[test]
    fn musiccaps_names_its_clips() {
        let csv =
            "ytid,start_s,end_s,caption\n-0Gj8-vB1q4,30,40,\"slow, soft\"\n-0SdAVK79lg,30,40,low\nlost,0,10,none\n";
        let files = ["-0Gj8-vB1q4.wav", "more/-0SdAVK79lg.flac", "other.wav", "-0SdAVK79lg.mp3"];
        let (chosen, skipped) = chosen(("musiccaps.csv", csv), &files);
        assert_eq!(chosen, ["-0Gj8-vB1q4.wav", "more/-0SdAVK79lg.flac"]);
        assert_eq!(skipped.iter().map(|skipped| skipped.0.as_str()).collect::<Vec<_>>(), ["-0SdAVK79lg.mp3", "lost"]);
        assert!(skipped[0].1.contains("another file") && skipped[1].1.contains("musiccaps.csv"), "{skipped:?}");
    }

    #[test]
    fn fmas_tracks_are_numbers_of_six_digits() {
        let files = ["000/000002.mp3", "089/089433.mp3", "000/000005.mp3"];
        let pop = "track_id,track_title,genre\n89433,\"two\nlines\",1\n2,one,1\n";
        let published = ",album,track\n,comments,title\ntrack_id,,\n2,0,Food\n89433,1,Nostalgia\n";
        for text in [pop, published] {
            assert_eq!(chosen(("tracks.csv", text), &files), (vec![files[0].into(), files[1].into()], vec![]));
        }
    }

    #[test]
    fn a_name_that_may_mean_two_is_left_out() {
        let (chosen, skipped) = chosen(("c.json", r#"{"a/x.wav": "", "b/x.wav": ""}"#), &["x.wav", "a/x.flac"]);
        assert!(chosen.is_empty() && skipped.len() == 4, "{chosen:?} {skipped:?}");
        assert!(skipped[0].1.contains("may mean"), "{skipped:?}");
    }
}
