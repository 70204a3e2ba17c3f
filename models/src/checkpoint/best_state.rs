use super::{Checkpoint, CheckpointError};

/// Under which audiocraft keeps a network beside its configuration, or the best one of a training; that of a training on
/// several devices stands in the former's place.
const BEST: [&str; 2] = ["fsdp_best_state.", "best_state."];
/// A level that trainings have between it and the tensors.
const MODEL: &str = "model.";

impl Checkpoint {
    /// The network in a package of audiocraft's, without the state of its training; tensors that are in no package stay.
    ///
    /// # Errors
    ///
    /// If two tensors come to have one name.
    pub fn best_state(self) -> Result<Self, CheckpointError> {
        let Some(best) = BEST.into_iter().find(|best| self.names().any(|name| name.starts_with(best))) else {
            return Ok(self);
        };
        self.rename(|name| {
            let name = name.strip_prefix(best)?;
            Some(name.strip_prefix(MODEL).unwrap_or(name).to_owned())
        })
    }
}
