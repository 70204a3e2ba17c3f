use std::collections::BTreeMap;
use std::path::Path;

use nocturne_models::files::is_plain_file_name;
use nocturne_vocoder::audio::WRITES;

use super::{GenerateError, Prompt};

/// What the files of a prompt are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileNames {
    /// Its id, with `.wav` behind it where it has no extension of a sound file that can be written.
    pub audio: String,
    /// The same with `.npy`, where codes are written.
    pub codes: Option<String>,
}

/// The files of each prompt.
pub(super) fn file_names(prompts: &[Prompt], save_codes: bool) -> Result<Vec<FileNames>, GenerateError> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut names = Vec::with_capacity(prompts.len());
    for Prompt { id, .. } in prompts {
        let extension = Path::new(id).extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let written = WRITES.contains(&extension.to_ascii_lowercase().as_str());
        let audio = if written { id.clone() } else { format!("{id}.wav") };
        // An id leads nowhere else.
        if id.is_empty() || !is_plain_file_name(&audio) {
            return Err(GenerateError::Name { id: id.clone() });
        }
        let codes = save_codes.then(|| Path::new(&audio).with_extension("npy").to_string_lossy().into_owned());
        for name in [Some(&audio), codes.as_ref()].into_iter().flatten() {
            if let Some(first) = seen.insert(name.clone(), id) {
                let (first, second, name) = (first.to_owned(), id.clone(), name.clone());
                return Err(GenerateError::SameName { first, second, name });
            }
        }
        names.push(FileNames { audio, codes });
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn all(ids: &[&str], save_codes: bool) -> Result<Vec<FileNames>, GenerateError> {
        let prompt = |id: &&str| Prompt { id: (*id).to_owned(), text: String::new() };
        file_names(&ids.iter().map(prompt).collect::<Vec<_>>(), save_codes)
    }

    fn names(ids: &[&str]) -> Vec<String> {
        all(ids, false).unwrap().into_iter().map(|names| names.audio).collect()
    }

    #[test]
    fn extensions_that_can_be_written_are_kept() {
        assert_eq!(
            names(&["1.mp3", "a.FLAC", "b", "v1.5", ".wav"]),
            ["1.mp3", "a.FLAC", "b.wav", "v1.5.wav", ".wav.wav"]
        );
        let codes: Vec<_> =
            all(&["1.mp3", "v1.5"], true).unwrap().into_iter().map(|names| names.codes.unwrap()).collect();
        assert_eq!(codes, ["1.npy", "v1.5.npy"]);
    }

    #[test]
    fn no_id_leads_out_of_the_folder() {
        for id in ["../a.wav", "/a.wav", "a/b.wav", "a/", "", "a\0.wav", "./a.wav", "..\\a.wav"] {
            assert!(matches!(all(&[id], false), Err(GenerateError::Name { .. })), "{id:?}");
        }
        // As a name these are odd, but names.
        assert_eq!(names(&["..", "."]), ["...wav", "..wav"]);
    }

    #[test]
    fn two_ids_of_one_file_are_refused() {
        let same = |ids: &[&str], save_codes| match all(ids, save_codes) {
            Err(GenerateError::SameName { name, .. }) => Some(name),
            _ => None,
        };
        assert_eq!(same(&["a", "a.wav"], false).unwrap(), "a.wav");
        assert_eq!(same(&["a.wav", "b.wav", "a.mp3"], true).unwrap(), "a.npy");
        assert_eq!(same(&["a.wav", "a.mp3"], false), None);
    }
}
