//! The state of a training of audiocraft's, `checkpoint.th`: its settings are pickled objects of `OmegaConf`, which are read as
//! what they hold.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use nocturne_models::checkpoint::OmegaConf;
use thiserror::Error;

use crate::pickle::machine::{Object, Pickle, Value, parse};
use crate::pickle::{Fault, program};

/// A file that is not the state of a training.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// The file system said no.
    #[error("cannot read `{}`: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("`{}` is not the state of a training: found {found}, expected {expected}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
}

/// So deep may sections stand in each other: the settings are four.
const DEPTH: usize = 32;
/// So many values may there be: the settings are some four hundred.
const VALUES: usize = 1 << 16;

/// The settings of the training whose state is in `file`.
///
/// # Errors
///
/// Where the file cannot be read, or has no settings in it.
pub(super) fn settings(file: &Path) -> Result<OmegaConf, TrainingError> {
    let opened = File::open(file).map_err(|source| TrainingError::Io { file: file.to_owned(), source })?;
    let content = |Fault { found, expected }| TrainingError::Content { file: file.to_owned(), found, expected };
    let program = program(BufReader::new(opened)).map_err(content)?;
    read(&program).map_err(content)
}

fn read(program: &[u8]) -> Result<OmegaConf, Fault> {
    let (pickle, _) = parse(program)?;
    let root = entry(&pickle, pickle.root, "xp.cfg");
    let root = root.ok_or_else(|| Fault::new("nothing under xp.cfg", "the settings of the training"))?;
    if let Value::Text(yaml) = root {
        return Ok(OmegaConf::parse(yaml));
    }
    let mut values = Vec::new();
    flatten(&pickle, root, "", DEPTH, &mut values)?;
    if values.is_empty() {
        return Err(Fault::new(format!("{} under xp.cfg", pickle.describe(root)), "settings of OmegaConf"));
    }
    Ok(values.into_iter().collect())
}

/// What a dictionary has under a name.
fn entry<'a>(pickle: &Pickle<'a>, dictionary: Value, name: &str) -> Option<Value<'a>> {
    match pickle.object(dictionary)? {
        Object::Dict(entries) => {
            entries.iter().rev().find(|(key, _)| *key == Value::Text(name)).map(|(_, value)| *value)
        }
        _ => None,
    }
}

/// Adds the values of a node, whose dotted name is `name`: a container's are in its `_content`, a plain one's in its `_val`.
fn flatten(
    pickle: &Pickle,
    node: Value,
    name: &str,
    depth: usize,
    values: &mut Vec<(String, String)>,
) -> Result<(), Fault> {
    if depth == 0 || values.len() == VALUES {
        return Err(Fault::new("settings without end", "those of audiocraft"));
    }
    let Some(Object::Call { function: Value::Global(module, _), state: Some(state), .. }) = pickle.object(node) else {
        return Ok(());
    };
    if !module.starts_with("omegaconf.") {
        return Ok(());
    }
    let below = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    let content = entry(pickle, *state, "_content");
    match content.and_then(|content| pickle.object(content)) {
        // As YAML has them.
        Some(Object::Dict(entries)) if entries.is_empty() => values.push((name.to_owned(), "{}".to_owned())),
        Some(Object::List(entries)) if entries.is_empty() => values.push((name.to_owned(), "[]".to_owned())),
        Some(Object::Dict(entries)) => {
            for (key, value) in entries {
                if let Some(key) = plain(*key) {
                    flatten(pickle, *value, &below(&key), depth - 1, values)?;
                }
            }
        }
        Some(Object::List(entries)) => {
            for (place, value) in entries.iter().enumerate() {
                flatten(pickle, *value, &below(&place.to_string()), depth - 1, values)?;
            }
        }
        // A container that is absent, or refers to another, has that for its content.
        _ => {
            let value = content.or_else(|| entry(pickle, *state, "_val"));
            values.extend(value.and_then(plain).map(|value| (name.to_owned(), value)));
        }
    }
    Ok(())
}

/// A plain value as YAML has it.
fn plain(value: Value) -> Option<String> {
    Some(match value {
        Value::None => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Number(bytes) => format!("{:?}", f64::from_be_bytes(bytes.try_into().ok()?)),
        Value::Text(text) => text.to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nocturne_models::checkpoint::text;
    use nocturne_models::random::Random;

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/musicgen/audiocraft").join(name)
    }

    #[test]
    fn objects_say_what_the_text_says() {
        let found = settings(&fixture("checkpoint.th")).unwrap();
        let expected = OmegaConf::parse(&text(&fixture("half.bin"), "xp.cfg").unwrap());
        for section in ["transformer_lm", "codebooks_pattern", "fuser", "conditioners.description.t5"] {
            let names = expected.names(section);
            assert_eq!(found.names(section), names);
            for name in names {
                let name = format!("{section}.{name}");
                assert_eq!(found.get(&name), expected.get(&name), "{name}");
                assert_eq!(found.list(&name), expected.list(&name), "{name}");
            }
        }
        assert_eq!(found.get("sample_rate_of_all"), expected.get("sample_rate"));
        assert_eq!(found.get("continue_from"), Some("null"));
        assert_eq!(found.get("slurm"), Some("null"));
        let numbers = ["optim.lr", "optim.adam.eps", "dataset.train.num_samples"].map(|name| found.get(name).unwrap());
        assert_eq!(numbers.map(|number| number.parse::<f64>().unwrap()), [1e-5, 1e-8, 500_000.0]);
        assert_eq!(found.list("optim.adam.betas"), ["0.9", "0.95"]);
    }

    #[test]
    fn settings_in_themselves_are_refused() {
        // {'xp.cfg': node}, whose _content is {'a': node}.
        let mut bytes = b"\x80\x02}X\x06\x00\x00\x00xp.cfgcomegaconf.dictconfig\nDictConfig\n)\x81q\x00".to_vec();
        bytes.extend(b"}X\x08\x00\x00\x00_content}X\x01\x00\x00\x00ah\x00ssbs.");
        let error = read(&bytes).unwrap_err();
        assert_eq!(error.found, "settings without end");
    }

    #[test]
    fn damaged_files_are_errors() {
        let whole = program(File::open(fixture("checkpoint.th")).unwrap()).unwrap();
        assert!(read(&whole).is_ok());
        for end in (0..whole.len()).step_by(97) {
            assert!(read(&whole[..end]).is_err());
        }
        for draw in 0..500 {
            let mut random = Random::new(1, "damage", draw);
            let mut damaged = whole.clone();
            for _ in 0..4 {
                let place = random.below(damaged.len() as u64) as usize;
                damaged[place] = random.below(256) as u8;
            }
            // Whatever is found, it ends.
            let _ = read(&damaged);
        }
        assert!(settings(&fixture("nowhere.th")).unwrap_err().to_string().contains("nowhere.th"));
        let error =
            settings(&fixture("compression_state_dict.bin")).map(|found| found.get("transformer_lm.dim").is_some());
        assert!(!error.unwrap_or(false));
    }
}
