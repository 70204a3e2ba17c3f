//! What a path is that was given as a set.

use std::path::{Path, PathBuf};

use nocturne_vocoder::audio::READS;

use super::EvaluateError;
use super::listener::{Listener, POOLED_MEL};
use crate::dataset::walk;
use crate::npy::Npz;

/// A set, before anything of it is read.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Sound files, and links that lead out of the folder.
    Audio(Vec<PathBuf>, Vec<(PathBuf, &'static str)>),
    /// `.npy` files of `[frame, dim]`, below this folder.
    Vectors(PathBuf, Vec<PathBuf>),
    /// An `.npz` of a mean and a covariance.
    Packed,
    /// fadtk's folder of `mu.npy` and `cov.npy`.
    Loose(PathBuf),
}

impl Source {
    /// What `path` holds of a model: an `.npz` or `.npy` file, or a folder.
    ///
    /// Of a folder, in this order: sound files, if they can be heard (fadtk's vectors may be of files that changed since);
    /// fadtk's `embeddings/MODEL` and `stats/MODEL`; sound files, which then cannot be heard; `mu.npy` and `cov.npy`; `.npy` files.
    pub fn find(path: &Path, listener: &Listener) -> Result<Self, EvaluateError> {
        Self::find_of(path, listener.name(), || listener.can_hear())
    }

    fn find_of(path: &Path, model: &str, can_hear: impl Fn() -> bool) -> Result<Self, EvaluateError> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if path.is_file() && extension.eq_ignore_ascii_case("npz") {
            return Ok(Self::Packed);
        }
        if path.is_file() && extension.eq_ignore_ascii_case("npy") {
            let name = path.file_name().map(PathBuf::from).unwrap_or_default();
            return Ok(Self::Vectors(path.parent().map(Path::to_path_buf).unwrap_or_default(), vec![name]));
        }
        let (audio, unfollowed) = files(path, &READS)?;
        let audio: Vec<PathBuf> = audio.into_iter().filter(|file| !is_converted(file)).collect();
        if !audio.is_empty() && can_hear() {
            return Ok(Self::Audio(audio, unfollowed));
        }
        let embeddings = path.join("embeddings").join(model);
        let vectors = if embeddings.is_dir() { files(&embeddings, &["npy"])?.0 } else { Vec::new() };
        if !vectors.is_empty() {
            return Ok(Self::Vectors(embeddings, vectors));
        }
        let statistics = path.join("stats").join(model);
        if statistics.join("mu.npy").is_file() {
            return Ok(Self::Loose(statistics));
        }
        if !audio.is_empty() {
            return Ok(Self::Audio(audio, unfollowed));
        }
        if path.join("mu.npy").is_file() {
            return Ok(Self::Loose(path.to_owned()));
        }
        match files(path, &["npy"])?.0 {
            vectors if vectors.is_empty() => {
                Err(EvaluateError::Nothing { path: path.to_owned(), model: model.to_owned() })
            }
            vectors => Ok(Self::Vectors(path.to_owned(), vectors)),
        }
    }
}

/// The model of sets that were given without one: that of audio, where there is any; else the first that an `.npz` or fadtk's
/// folders name; else vectors of a model that nobody named.
pub fn only_model(paths: &[&Path]) -> String {
    let audio = |path: &Path| matches!(Source::find_of(path, POOLED_MEL, || true), Ok(Source::Audio(..)));
    if paths.iter().any(|path| audio(path)) {
        return POOLED_MEL.to_owned();
    }
    let named = paths.iter().find_map(|path| models(path).into_iter().next());
    named.unwrap_or_else(|| "embeddings".to_owned())
}

/// The models that a set names.
pub fn models(path: &Path) -> Vec<String> {
    if path.is_file() {
        let names = Npz::open(path).map(|file| file.names()).unwrap_or_default();
        return names.iter().filter_map(|name| Some(name.strip_suffix(".mu")?.to_owned())).collect();
    }
    let mut found: Vec<String> = ["embeddings", "stats"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(path.join(folder)).ok())
        .flat_map(|entries| entries.flatten().filter(|entry| entry.path().is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    found.sort();
    found.dedup();
    found
}

type Files = (Vec<PathBuf>, Vec<(PathBuf, &'static str)>);

fn files(folder: &Path, extensions: &[&str]) -> Result<Files, EvaluateError> {
    let listing = walk(folder, extensions, false)?;
    Ok((listing.files, listing.unfollowed))
}

/// fadtk's copies at other rates: `convert/16000/a.wav`.
fn is_converted(file: &Path) -> bool {
    let mut parts = file.iter().filter_map(|part| part.to_str());
    parts.next() == Some("convert")
        && parts.next().is_some_and(|rate| rate.bytes().all(|byte| byte.is_ascii_digit()))
        && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), b"").unwrap();
        }
        folder
    }

    #[test]
    fn folders_are_known_by_what_is_in_them() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let generated = folder(&["audio/1.wav", "mels/1.npy", "convert/16000/1.wav"]);
        let find = |path: &Path, model: &str| Source::find_of(path, model, || model == POOLED_MEL);
        for model in [POOLED_MEL, "vggish"] {
            assert_eq!(find(generated.path(), model).unwrap(), Source::Audio(paths(&["audio/1.wav"]), vec![]));
        }

        let fadtk = folder(&["1.wav", "embeddings/vggish/1.npy", "stats/clap/mu.npy", "stats/clap/cov.npy"]);
        let root = fadtk.path();
        assert_eq!(find(root, "vggish").unwrap(), Source::Vectors(root.join("embeddings/vggish"), paths(&["1.npy"])));
        assert_eq!(find(root, "clap").unwrap(), Source::Loose(root.join("stats/clap")));
        assert_eq!(find(&root.join("stats/clap"), "x").unwrap(), Source::Loose(root.join("stats/clap")));
        assert_eq!(find(root, POOLED_MEL).unwrap(), Source::Audio(paths(&["1.wav"]), vec![]));
        assert_eq!(models(root), ["clap", "vggish"]);

        let plain = folder(&["b/2.npy", "1.npy"]);
        let vectors = Source::Vectors(plain.path().to_owned(), paths(&["1.npy", "b/2.npy"]));
        assert_eq!(find(plain.path(), "any").unwrap(), vectors);
        assert_eq!(only_model(&[plain.path()]), "embeddings");
        assert_eq!(only_model(&[plain.path(), root]), POOLED_MEL);
        assert!(find(folder(&["notes.txt"]).path(), "any").is_err());
        assert!(find(&plain.path().join("missing"), "any").is_err());
    }
}
