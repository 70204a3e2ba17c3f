//! A folder of audio to a folder of embeddings.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use half::f16;
use serde::Serialize;

use super::{EvaluateError, Hearing, Loader, Manifest, Provenance};
use crate::npy;

/// How the files lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `a/b.wav` becomes `a/b.npy`, in 32 bits.
    #[default]
    Plain,
    /// As fadtk looks for them: `embeddings/MODEL/b.npy`, in 16 bits.
    Fadtk,
}

/// Writes one `.npy` of `[frame, dim]` for every sound of a folder, or for those that a manifest names.
pub fn embed(
    hearing: &Hearing,
    model: &str,
    (input, manifest): (&Path, Option<&Manifest>),
    output: &Path,
    layout: Layout,
    mut progress: impl FnMut(usize, usize),
) -> Result<Provenance, EvaluateError> {
    let folder = match layout {
        Layout::Plain => output.to_owned(),
        Layout::Fadtk => output.join("embeddings").join(model),
    };
    let loader = Loader::new(hearing, &[model.to_owned()]);
    let mut taken = HashSet::new();
    let sets = loader.clips(input, manifest, &mut progress, |clip| {
        let file = folder.join(name(&clip.name, layout, &mut taken));
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(EvaluateError::io(parent))?;
        }
        let values = clip.vectors.iter();
        match layout {
            Layout::Plain => npy::write(&file, clip.vectors.shape(), &values.copied().collect::<Vec<_>>())?,
            Layout::Fadtk => {
                let halves: Vec<f16> = values.map(|value| f16::from_f32(*value)).collect();
                npy::write(&file, clip.vectors.shape(), &halves)?;
            }
        }
        Ok(())
    })?;
    let nothing = || EvaluateError::Nothing { path: input.to_owned(), model: model.to_owned() };
    sets.into_iter().next().map(|set| set.provenance).ok_or_else(nothing)
}

/// The name of a sound's vectors: its own with another extension, or behind its own where `b.mp3` follows `b.wav`; and with fadtk,
/// which knows no folders, with the folders in it where two sounds share a name.
fn name(sound: &Path, layout: Layout, taken: &mut HashSet<PathBuf>) -> PathBuf {
    let whole = {
        let mut name = sound.as_os_str().to_owned();
        name.push(".npy");
        PathBuf::from(name)
    };
    let candidates = match layout {
        Layout::Plain => [sound.with_extension("npy"), whole],
        Layout::Fadtk => {
            let flat: Vec<_> = whole.iter().map(|part| part.to_string_lossy()).collect();
            [sound.with_extension("npy").file_name().map(PathBuf::from).unwrap_or_default(), flat.join("_").into()]
        }
    };
    let free = candidates.iter().find(|name| !taken.contains(*name)).cloned();
    let free = free.unwrap_or_else(|| {
        // Names such as `a_b` beside `a/b`.
        let numbered = |number: usize| candidates[1].with_extension(format!("{number}.npy"));
        (2..taken.len() + 3).map(numbered).find(|name| !taken.contains(name)).unwrap_or_default()
    });
    taken.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice() {
        let names = |layout| {
            let mut taken = HashSet::new();
            let sounds = ["a.flac", "a.mp3", "b/a.wav", "b_a.wav.wav"];
            sounds.map(|sound| name(Path::new(sound), layout, &mut taken).to_string_lossy().into_owned())
        };
        assert_eq!(names(Layout::Plain), ["a.npy", "a.mp3.npy", "b/a.npy", "b_a.wav.npy"]);
        assert_eq!(names(Layout::Fadtk), ["a.npy", "a.mp3.npy", "b_a.wav.npy", "b_a.wav.wav.npy"]);
    }
}
