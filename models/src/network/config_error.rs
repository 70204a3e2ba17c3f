use std::fmt;

/// A configuration that describes no network of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found}, expected {expected}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub found: String,
    /// What it may be.
    pub expected: String,
}

/// Refuses a value that is none of the known ones.
///
/// # Errors
///
/// Names the field, the value and the known ones.
pub fn one_of(field: &'static str, value: &str, known: &[&str]) -> Result<(), ConfigError> {
    check(field, known.contains(&value), format_args!("{value:?}"), known.join(" or "))
}

/// Refuses a value of which something needed does not hold.
///
/// # Errors
///
/// Names the field, the value and what is expected.
pub fn check(
    field: &'static str,
    holds: bool,
    found: impl fmt::Display,
    expected: impl Into<String>,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { field, found: found.to_string(), expected: expected.into() }) }
}
