use std::collections::HashMap;
use std::collections::hash_map::Entry;

use nocturne_vocoder::audio::READS;

/// Ids by what they are without folders, and without an audio file's extension: how files find what is said of them elsewhere.
#[derive(Debug)]
pub struct ShortNames {
    by_file: Names,
    by_stem: Names,
}

/// For each short name an id that it is short for, and another if there is one.
type Names = HashMap<String, (String, Option<String>)>;

impl ShortNames {
    /// Of these ids.
    pub fn new<'a>(ids: impl Iterator<Item = &'a String> + Clone) -> Self {
        Self { by_file: names(ids.clone(), file_name), by_stem: names(ids, |id| stem(file_name(id))) }
    }

    /// The one id that has the same file name without its folder; else the one that has the same without an audio file's
    /// extension. A second id, where there is one, says that the first may not be meant.
    pub fn find(&self, id: &str) -> Option<(&str, Option<&str>)> {
        let file = file_name(id);
        let (first, second) = self.by_file.get(file).or_else(|| self.by_stem.get(stem(file)))?;
        Some((first, second.as_deref()))
    }
}

fn names<'a>(ids: impl Iterator<Item = &'a String>, short: impl Fn(&str) -> &str) -> Names {
    let mut names = Names::new();
    for id in ids {
        match names.entry(short(id).to_owned()) {
            Entry::Vacant(name) => {
                name.insert((id.clone(), None));
            }
            Entry::Occupied(mut name) => name.get_mut().1 = Some(id.clone()),
        }
    }
    names
}

/// What follows the last folder, of either system's separators.
fn file_name(id: &str) -> &str {
    id.rsplit(['/', '\\']).next().unwrap_or(id)
}

/// A file name without an audio file's extension. Others stay: they may be part of the name.
fn stem(file: &str) -> &str {
    match file.rsplit_once('.') {
        Some((stem, extension)) if READS.iter().any(|known| known.eq_ignore_ascii_case(extension)) => stem,
        _ => file,
    }
}
