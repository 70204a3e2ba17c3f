use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::network::ConfigError;

/// The configuration that audiocraft keeps in its checkpoints: the YAML that `OmegaConf` writes, in which every value is on a
/// line of its own, flattened to dotted names (`seanet.ratios.0`). Lines of other YAML are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OmegaConf {
    values: BTreeMap<String, String>,
}

impl FromIterator<(String, String)> for OmegaConf {
    /// Of dotted names and plain values, as in [`OmegaConf::parse`]'s text.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        Self { values: values.into_iter().collect() }
    }
}

/// A mapping or a list around the line that is read.
struct Level {
    indentation: usize,
    name: String,
    /// Entries of a list so far.
    entries: usize,
}

impl OmegaConf {
    /// Reads such a text.
    pub fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        let mut levels: Vec<Level> = Vec::new();
        for line in text.lines() {
            let content = line.trim_start();
            let mut indentation = line.len() - content.len();
            let mut content = content.trim_end();
            // A list is written at the indentation of its name.
            while levels.last().is_some_and(|level| {
                level.indentation > indentation || level.indentation == indentation && !content.starts_with("- ")
            }) {
                levels.pop();
            }
            while let Some(entry) = content.strip_prefix("- ") {
                let place = match levels.last_mut() {
                    Some(list) if list.indentation <= indentation => {
                        list.entries += 1;
                        list.entries - 1
                    }
                    _ => break,
                };
                content = entry.trim_start();
                indentation += 2;
                levels.push(Level { indentation: indentation - 1, name: place.to_string(), entries: 0 });
            }
            let path = |key: Option<&str>| {
                let around = levels.iter().map(|level| level.name.as_str());
                around.chain(key).collect::<Vec<_>>().join(".")
            };
            match content.split_once(':') {
                Some((key, "")) => {
                    levels.push(Level { indentation, name: unquoted(key).to_owned(), entries: 0 });
                }
                Some((key, value)) if value.starts_with(' ') => {
                    values.insert(path(Some(unquoted(key))), unquoted(value).to_owned());
                }
                _ if levels.last().is_some_and(|level| level.indentation + 1 == indentation) => {
                    values.insert(path(None), unquoted(content).to_owned());
                }
                _ => {}
            }
        }
        Self { values }
    }

    /// A value; one that refers to another (`${sample_rate}`) is that one's.
    pub fn get(&self, name: &str) -> Option<&str> {
        /// So deep do references go.
        const DEPTH: usize = 8;
        let mut value = self.values.get(name)?.as_str();
        for _ in 0..DEPTH {
            match value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
                Some(other) => value = self.values.get(other)?.as_str(),
                None => return Some(value),
            }
        }
        None
    }

    /// The entries of a list.
    pub fn list(&self, name: &str) -> Vec<&str> {
        (0..).map_while(|index| self.get(&format!("{name}.{index}"))).collect()
    }

    /// The names in a section.
    pub fn names(&self, section: &str) -> BTreeSet<&str> {
        let names = self.values.keys().filter_map(|name| name.strip_prefix(section)?.strip_prefix('.'));
        names.map(|name| name.split_once('.').map_or(name, |(first, _)| first)).collect()
    }

    /// A number.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn number<T: FromStr>(&self, field: &'static str) -> Result<T, ConfigError> {
        parsed(field, self.get(field).unwrap_or(NOTHING))
    }

    /// A list of numbers.
    ///
    /// # Errors
    ///
    /// If something in it is none.
    pub fn numbers<T: FromStr>(&self, field: &'static str) -> Result<Vec<T>, ConfigError> {
        self.list(field).into_iter().map(|entry| parsed(field, entry)).collect()
    }

    /// Yes or no.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn flag(&self, field: &'static str) -> Result<bool, ConfigError> {
        self.chosen(field, &[("true", true), ("false", false)])
    }

    /// What the value is a name of.
    ///
    /// # Errors
    ///
    /// If it is none of the known ones.
    pub fn chosen<T: Copy>(&self, field: &'static str, known: &[(&str, T)]) -> Result<T, ConfigError> {
        let found = self.get(field).unwrap_or(NOTHING);
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let choice = known.iter().find(|(name, _)| *name == found);
        choice.map(|(_, value)| *value).ok_or_else(|| unfit(field, found, &names.join(" or ")))
    }

    /// Refuses any value but one; it may be absent.
    ///
    /// # Errors
    ///
    /// If there is another.
    pub fn known(&self, field: &'static str, known: &str) -> Result<(), ConfigError> {
        let found = self.values.get(field).map_or(known, |_| self.get(field).unwrap_or(NOTHING));
        if found == known { Ok(()) } else { Err(unfit(field, found, known)) }
    }
}

/// In place of an absent value.
const NOTHING: &str = "nothing";

fn parsed<T: FromStr>(field: &'static str, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|_| unfit(field, text, "a number"))
}

fn unfit(field: &'static str, found: &str, expected: &str) -> ConfigError {
    ConfigError { field, found: found.to_owned(), expected: expected.to_owned() }
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inside = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('\'').or_else(|| inside('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_names_of_what_is_around_them() {
        let text = "\
sample_rate: 32000
seanet:
  channels: ${channels}
  ratios:
  - 8
  - 5
  decoder:
    trim_right_ratio: 1.0
    final_activation: null
  encoder: {}
channels: 1
'quoted': \"yes: no\"
files:
- path: a.wav
  info:
    seconds: 3
- path: b.wav
matrix:
- - 1
  - 2
- - 3
";
        let config = OmegaConf::parse(text);
        for (name, value) in [
            ("sample_rate", "32000"),
            ("seanet.channels", "1"),
            ("seanet.decoder.trim_right_ratio", "1.0"),
            ("seanet.decoder.final_activation", "null"),
            ("seanet.encoder", "{}"),
            ("quoted", "yes: no"),
            ("files.0.path", "a.wav"),
            ("files.0.info.seconds", "3"),
            ("files.1.path", "b.wav"),
            ("matrix.0.1", "2"),
            ("matrix.1.0", "3"),
        ] {
            assert_eq!(config.get(name), Some(value), "{name}");
        }
        assert_eq!(config.list("seanet.ratios"), ["8", "5"]);
        assert_eq!((config.get("seanet"), config.list("nothing").len()), (None, 0));
        assert_eq!(
            config.names("seanet").into_iter().collect::<Vec<_>>(),
            ["channels", "decoder", "encoder", "ratios"]
        );
        assert!(config.names("sea").is_empty());
    }

    #[test]
    fn other_text_does_no_harm() {
        for text in
            ["", "- ", "- - -", ":", "a", "  - x\n - y: z\n:::", "a: ${a}", "a:\n- b:\n  - c\n-- d", "\t\u{e9}: - "]
        {
            let config = OmegaConf::parse(text);
            assert_eq!(config.get("a"), None, "{text:?}");
        }
    }
}
