use std::collections::BTreeMap;
use std::path::{Component, Path};

use nocturne_vocoder::audio::WRITES;

use super::{GenerateError, Prompt};

/// The file of each prompt: its id, with `.wav` behind it where it has no extension of a sound file that can be written.
pub(super) fn file_names(prompts: &[Prompt]) -> Result<Vec<String>, GenerateError> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut names = Vec::with_capacity(prompts.len());
    for Prompt { id, .. } in prompts {
        let extension = Path::new(id).extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let written = WRITES.contains(&extension.to_ascii_lowercase().as_str());
        let name = if written { id.clone() } else { format!("{id}.wav") };
        // An id leads nowhere else.
        let plain =
            matches!(*Path::new(&name).components().collect::<Vec<_>>(), [Component::Normal(only)] if *only == *name);
        if !plain || id.is_empty() || id.contains('\0') {
            return Err(GenerateError::Name { id: id.clone() });
        }
        if let Some(first) = seen.insert(name.clone(), id) {
            return Err(GenerateError::SameName { first: first.to_owned(), second: id.clone(), name });
        }
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(ids: &[&str]) -> Result<Vec<String>, GenerateError> {
        let prompt = |id: &&str| Prompt { id: (*id).to_owned(), text: String::new() };
        file_names(&ids.iter().map(prompt).collect::<Vec<_>>())
    }

    #[test]
    fn extensions_that_can_be_written_are_kept() {
        assert_eq!(names(&["1.mp3", "a.FLAC", "b", "v1.5"]).unwrap(), ["1.mp3", "a.FLAC", "b.wav", "v1.5.wav"]);
    }

    #[test]
    fn no_id_leads_out_of_the_folder() {
        for id in ["../a.wav", "/a.wav", "a/b.wav", "a/", "", "a\0.wav", "./a.wav"] {
            assert!(matches!(names(&[id]), Err(GenerateError::Name { .. })), "{id:?}");
        }
        // As a name these are odd, but names.
        assert_eq!(names(&["..", "."]).unwrap(), ["...wav", "..wav"]);
    }

    #[test]
    fn two_ids_of_one_file_are_refused() {
        assert!(matches!(names(&["a", "a.wav"]), Err(GenerateError::SameName { .. })));
    }
}
