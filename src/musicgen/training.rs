//! The state of a training of audiocraft's, `checkpoint.th`: its settings are pickled objects of `OmegaConf`, which are read as
//! what they hold.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use nocturne_models::checkpoint::OmegaConf;

use crate::pickle::machine::{Object, Pickle, Value, parse};
use crate::pickle::{Fault, PickleError, program};

/// So deep may sections stand in each other: the settings are four.
const DEPTH: usize = 32;
/// So many values may there be: the settings are some four hundred.
const VALUES: usize = 1 << 16;

/// The settings of the training whose state is in `file`.
///
/// # Errors
///
/// Where the file cannot be read, or has no settings in it.
pub fn settings(file: &Path) -> Result<OmegaConf, PickleError> {
    let opened = File::open(file).map_err(|source| PickleError::Io { file: file.to_owned(), source })?;
    let content = |Fault { found, expected }| PickleError::Content { file: file.to_owned(), found, expected };
    let program = program(BufReader::new(opened)).map_err(content)?;
    read(&program).map_err(content)
}

fn read(program: &[u8]) -> Result<OmegaConf, Fault> {
    let (pickle, _) = parse(program)?;
    let root = entry(&pickle, pickle.root, "xp.cfg");
    let root = root.ok_or_else(|| Fault::new("nothing under xp.cfg", "the state of a training of audiocraft's"))?;
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
        Object::Dict(entries) => entries.iter().rev().find(|(key, _)| *key == Value::Text(name)).map(|(_, value)| *value),
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
        Value::Number(bytes) => f64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Value::Text(text) => text.to_owned(),
        _ => return None,
    })
}
