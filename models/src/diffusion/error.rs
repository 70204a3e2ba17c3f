//! What can be wrong with a schedule or a sampler's settings.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A diffusion setting that cannot be used, or a scheduler configuration that cannot be read or written.
#[derive(Debug, Error)]
pub enum DiffusionError {
    /// The configuration file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration is not JSON, or a field has a value of the wrong kind.
    #[error("{path}: field `{field}`: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The path of the field, `.` for the whole.
        field: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A field, or an argument of the same name, is out of range.
    #[error("`{field}` is {found}, expected {expected}")]
    Invalid {
        /// The field's published name.
        field: &'static str,
        /// Its value.
        found: String,
        /// The values that work.
        expected: String,
    },
    /// DDIM's noise would have more variance than the state may hold, so that the remaining share is negative.
    #[error(
        "`eta` is {eta}, expected 0 to {largest}: at timestep {timestep} a larger eta asks for more noise than the next state holds"
    )]
    EtaTooLarge {
        /// The value asked for.
        eta: f64,
        /// The timestep that bears the least.
        timestep: f32,
        /// The largest eta that every step bears, rounded down to four decimals.
        largest: f64,
    },
}

/// [`DiffusionError::Invalid`] from what can be printed.
pub(super) fn invalid(field: &'static str, found: impl ToString, expected: impl Into<String>) -> DiffusionError {
    DiffusionError::Invalid { field, found: found.to_string(), expected: expected.into() }
}
