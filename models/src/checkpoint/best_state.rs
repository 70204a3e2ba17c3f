use super::{Checkpoint, CheckpointError};

/// Under which audiocraft keeps a network beside its configuration, or the best one of a training.
const BEST: &str = "best_state.";
/// A level that trainings have between it and the tensors.
const MODEL: &str = "model.";

impl Checkpoint {
    /// The network in a package of audiocraft's, without the state of its training; tensors that are in no package stay.
    ///
    /// # Errors
    ///
    /// If two tensors come to have one name.
    pub fn best_state(self) -> Result<Self, CheckpointError> {
        if !self.names().any(|name| name.starts_with(BEST)) {
            return Ok(self);
        }
        self.rename(|name| {
            let name = name.strip_prefix(BEST)?;
            Some(name.strip_prefix(MODEL).unwrap_or(name).to_owned())
        })
    }
}
