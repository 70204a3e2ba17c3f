use std::slice;

use serde::{Deserialize, Serialize};

/// A setting of every resolution: one value, or one for each from the largest to the smallest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "one value, or a list of one for each of block_out_channels")]
pub enum PerLevel<T> {
    /// All the same.
    One(T),
    /// Each its own.
    Each(Vec<T>),
}

impl<T: Copy> PerLevel<T> {
    /// The value of a resolution.
    pub(super) fn at(&self, level: usize) -> T {
        match self {
            Self::One(value) => *value,
            Self::Each(values) => values[level],
        }
    }

    /// Every value that is written down.
    pub(super) fn values(&self) -> &[T] {
        match self {
            Self::One(value) => slice::from_ref(value),
            Self::Each(values) => values,
        }
    }
}
