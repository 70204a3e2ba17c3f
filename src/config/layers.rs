//! Layers of configuration: flags win over `--set`, `--set` over the file, the file over the defaults.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The resolved configuration cannot be written.
    #[error("cannot write `{path}`")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("`{path}` is not valid YAML: {reason}")]
    NotYaml {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// `--set` without `=`.
    #[error("`--set {text}` is not of the form `key.path=value`")]
    NotAnAssignment {
        /// What was given.
        text: String,
    },
    /// A key that no configuration has.
    #[error("unknown configuration key `{key}` in {origin}{}", suggestion.as_ref().map(|s| format!(" (did you mean `{s}`?)")).unwrap_or_default())]
    UnknownKey {
        /// The dotted key.
        key: String,
        /// The file, or the flag.
        origin: String,
        /// The nearest known key.
        suggestion: Option<String>,
    },
    /// A file that is YAML, but no configuration.
    #[error("{origin} is no configuration: {reason}")]
    NotSections {
        /// The file.
        origin: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// A value of the wrong type or range.
    #[error("configuration key `{key}`: {reason}")]
    Invalid {
        /// The dotted key.
        key: String,
        /// What was expected and what was found.
        reason: String,
    },
}

/// The layers above the defaults, lowest first.
#[derive(Debug, Default)]
pub struct Layers {
    layers: Vec<(String, Value)>,
}

impl Layers {
    /// Adds a YAML file.
    pub fn file(self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        self.text(&text, path)
    }

    /// Adds YAML that is part of the program.
    pub fn built_in(self, text: &'static str) -> Result<Self, ConfigError> {
        self.text(text, Path::new("built-in configuration"))
    }

    fn text(mut self, text: &str, path: &Path) -> Result<Self, ConfigError> {
        let value = yaml(text).map_err(|reason| ConfigError::NotYaml { path: path.to_owned(), reason })?;
        if !value.is_null() {
            self.layers.push((format!("`{}`", path.display()), value));
        }
        Ok(self)
    }

    /// Adds one `key.path=value`; the value is YAML (`[32, 64]`, `true`, `1e-4`, text).
    pub fn assignment(mut self, text: &str) -> Result<Self, ConfigError> {
        let malformed = || ConfigError::NotAnAssignment { text: text.to_owned() };
        let (key, value) = text.split_once('=').ok_or_else(malformed)?;
        if key.trim().is_empty() {
            return Err(malformed());
        }
        let value = yaml(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        self.layers.push((format!("`--set {text}`"), nest(key.trim(), value)));
        Ok(self)
    }

    /// Adds a flag under its dotted key; an absent flag changes nothing.
    #[must_use]
    pub fn flag<T: Serialize>(mut self, key: &str, value: Option<T>) -> Self {
        if let Some(value) = value.and_then(|value| serde_json::to_value(value).ok()) {
            self.layers.push((format!("the flag for `{key}`"), nest(key, value)));
        }
        self
    }

    /// What the highest layer that has `key` gives it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let part = |value, part| Value::get(value, part);
        self.layers.iter().rev().find_map(|(_, layer)| key.split('.').try_fold(layer, part))
    }

    /// Takes `section` out of the layers that were written for another kind of it: those below the last that names a kind
    /// (under `key`, in the section), where they name another or, naming none, mean `unnamed`.
    pub fn drop_other_kinds(&mut self, section: &str, key: &str, unnamed: &str) {
        let mut kinds = Vec::new();
        let mut kind = unnamed.to_owned();
        for (_, layer) in &self.layers {
            if let Some(named) = layer.get(section).and_then(|section| section.get(key)).and_then(Value::as_str) {
                named.clone_into(&mut kind);
            }
            kinds.push(kind.clone());
        }
        for ((_, layer), of) in self.layers.iter_mut().zip(kinds) {
            if of != kind
                && let Value::Object(layer) = layer
            {
                layer.remove(section);
            }
        }
    }

    /// Lays everything over `defaults`.
    pub fn resolve<T: Serialize + DeserializeOwned>(self, defaults: &T) -> Result<T, ConfigError> {
        let invalid = |key: String, reason: String| ConfigError::Invalid { key, reason };
        let mut resolved = serde_json::to_value(defaults).map_err(|e| invalid(String::new(), e.to_string()))?;
        for (origin, layer) in self.layers {
            overlay(&mut resolved, layer, "", &origin)?;
        }
        serde_path_to_error::deserialize(resolved).map_err(|e| {
            let (key, reason) = (e.path().to_string(), e.inner().to_string());
            // A section of several kinds reads itself, and begins its reason with the field.
            match reason.split_once(": ") {
                Some((field, reason)) if !field.contains(char::is_whitespace) => {
                    invalid(format!("{key}.{field}"), in_words(reason))
                }
                _ => invalid(key, in_words(&reason)),
            }
        })
    }
}

fn yaml(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str(text).map_err(|e| {
        let text = e.to_string();
        let line = text.lines().next().unwrap_or_default();
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    })
}

/// serde's expectation without the names of Rust's types.
fn in_words(reason: &str) -> String {
    let Some((found, expected)) = reason.rsplit_once(", expected ") else { return reason.to_owned() };
    let expected = match expected {
        "f32" | "f64" => "a number",
        "u32" | "u64" | "usize" => "a whole number of 0 or more",
        "a sequence" => "a list, as in [1, 2]",
        "a boolean" => "true or false",
        other => other,
    };
    format!("{found}, expected {expected}")
}

fn nest(key: &str, value: Value) -> Value {
    key.rsplit('.').fold(value, |inner, part| Value::Object(Map::from_iter([(part.to_owned(), inner)])))
}

/// Objects merge; everything else replaces. A key that the defaults lack is a spelling mistake.
fn overlay(base: &mut Value, layer: Value, prefix: &str, origin: &str) -> Result<(), ConfigError> {
    match (base, layer) {
        (Value::Object(base), Value::Object(layer)) => {
            for (name, value) in layer {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                let Some(slot) = base.get_mut(&name) else {
                    let suggestion = nearest(&name, base.keys());
                    return Err(ConfigError::UnknownKey { key, origin: origin.to_owned(), suggestion });
                };
                overlay(slot, value, &key, origin)?;
            }
        }
        (Value::Object(_), found) => {
            let reason = format!("expected a section of keys, found `{found}`");
            return Err(if prefix.is_empty() {
                ConfigError::NotSections { origin: origin.to_owned(), reason }
            } else {
                ConfigError::Invalid { key: prefix.to_owned(), reason: format!("{reason} in {origin}") }
            });
        }
        (slot, value) => *slot = value,
    }
    Ok(())
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    known
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= 2.max(name.len() / 3))
        .min()
        .map(|(_, candidate)| candidate.clone())
}

fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Section {
        rate: f64,
        channels: Vec<usize>,
        note: Option<String>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Whole {
        train: Section,
        seed: u64,
    }

    impl Default for Whole {
        fn default() -> Self {
            Self { train: Section { rate: 0.5, channels: vec![1, 2], note: None }, seed: 3 }
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn flags_win_over_set_over_file_over_defaults() {
        let yaml = file("seed: 4\ntrain:\n  rate: 0.25\n  channels: [8]\n");
        let whole: Whole = Layers::default()
            .file(yaml.path())
            .unwrap()
            .assignment("train.rate=1e-4")
            .unwrap()
            .assignment("train.note='a: b'")
            .unwrap()
            .flag("seed", Some(9))
            .flag::<u64>("seed", None)
            .resolve(&Whole::default())
            .unwrap();
        assert_eq!(whole.seed, 9);
        assert_eq!(whole.train.channels, [8]);
        assert_eq!(whole.train.rate, 1e-4);
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        let yaml = file("# only a comment\n");
        let whole: Whole = Layers::default().file(yaml.path()).unwrap().resolve(&Whole::default()).unwrap();
        assert_eq!(whole, Whole::default());
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_neighbour() {
        let error = Layers::default().assignment("train.rat=1").unwrap().resolve(&Whole::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`train.rat`") && text.contains("`rate`"), "{text}");
    }

    #[test]
    fn a_wrong_type_names_its_key() {
        let error = Layers::default().assignment("train.rate=fast").unwrap().resolve(&Whole::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`train.rate`") && text.ends_with("expected a number"), "{text}");
        let error = Layers::default().assignment("train=3").unwrap().resolve(&Whole::default()).unwrap_err();
        assert!(error.to_string().contains("`train`"), "{error}");
        assert!(matches!(Layers::default().assignment("train"), Err(ConfigError::NotAnAssignment { .. })));
    }
}
