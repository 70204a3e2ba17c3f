use std::path::{Path, PathBuf};

use nocturne_models::checkpoint::{self, CheckpointError};
use nocturne_models::encodec;
use nocturne_models::files::is_plain_file_name;
use nocturne_models::musicgen::Audiocraft;

use crate::hub::{self, HubError, Wanted};

/// Of networks in transformers' layout.
const CONFIG: Wanted = &["config.json"];
const WEIGHTS: Wanted =
    &["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin.index.json", "pytorch_model.bin"];
const TOKENIZER: Wanted = &["tokenizer.json"];

/// audiocraft's codec, or the name of one.
pub(super) const CODEC: &str = "compression_state_dict.bin";

/// The text encoder beside a model, where it is not to be looked for by its name.
pub(super) const TEXT_ENCODER: &str = "text_encoder";

/// The folder of a MusicGen, itself or by its name on the hub, in transformers' layout or else in audiocraft's.
pub fn resolve(model: &str) -> Result<PathBuf, HubError> {
    hub::resolve(model, &[CONFIG, WEIGHTS, TOKENIZER]).or_else(|error| match error {
        HubError::Missing { .. } | HubError::Offline { .. } => {
            hub::resolve(model, &[&[Audiocraft::FILE], &[CODEC]]).map_err(|_| error)
        }
        error => Err(error),
    })
}

/// The state of a training of audiocraft's.
const TRAINING: &str = "checkpoint.th";

/// A language model of audiocraft's, in a folder that has nothing of transformers'.
pub(super) fn audiocraft(folder: &Path) -> Option<PathBuf> {
    let files = [Audiocraft::FILE, TRAINING].map(|name| folder.join(name));
    files.into_iter().find(|file| !folder.join(CONFIG[0]).is_file() && file.is_file())
}

/// Whether such a file is the state of a training.
pub(super) fn is_training(file: &Path) -> bool {
    file.ends_with(TRAINING)
}

/// Where the text encoder of an audiocraft model is: what was asked for, a folder beside the model, or what the model names.
pub(super) fn text_folder(folder: &Path, asked: Option<&str>, named: &str) -> Result<PathBuf, HubError> {
    /// Who has the T5s that audiocraft names without an owner.
    const OWNER: &str = "google-t5";
    let wanted = [CONFIG, WEIGHTS, TOKENIZER];
    if let Some(asked) = asked {
        return hub::resolve(asked, &wanted);
    }
    let beside = folder.join(TEXT_ENCODER);
    if beside.is_dir() {
        return Ok(beside);
    }
    if named.contains('/') {
        return hub::resolve(named, &wanted);
    }
    // Where Python's libraries put it before it had an owner.
    let earlier = hub::cache().and_then(|cache| hub::find(&cache, named));
    match earlier.filter(|folder| hub::has_all(folder, &wanted)) {
        Some(folder) => Ok(folder),
        None => hub::resolve(&format!("{OWNER}/{named}"), &wanted),
    }
}

/// Where the codec of an audiocraft model is: its file, or, where that only names another or is absent, a folder of that name or
/// of what the model was trained with beside the model, or on the hub.
pub(super) fn codec(folder: &Path, trained_with: Option<&str>) -> Result<PathBuf, HubError> {
    let file = folder.join(CODEC);
    let absent = trained_with.filter(|_| !file.is_file()).map(str::to_owned);
    let Some(named) = absent.or_else(|| encodec::points_to(&file)) else { return Ok(file) };
    let last = named.rsplit('/').next().filter(|last| is_plain_file_name(last));
    let Some(beside) = last.map(|last| folder.join(last)).filter(|beside| beside.is_dir()) else {
        return hub::resolve(&named, &[CONFIG, WEIGHTS]);
    };
    let inside = beside.join(CODEC);
    Ok(if inside.is_file() { inside } else { beside })
}

/// The files of a network, one or a folder of transformers: configuration, weights, tokenizer.
pub(super) fn files(part: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let beside = CONFIG.iter().chain(TOKENIZER).map(|name| part.join(name));
    let mut files: Vec<PathBuf> = beside.filter(|path| path.is_file()).collect();
    files.extend(checkpoint::files(part)?);
    Ok(files)
}
