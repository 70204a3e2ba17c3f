use std::slice;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A setting of every resolution: one value, or one for each from the largest to the smallest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PerLevel<T> {
    /// All the same.
    One(T),
    /// Each its own.
    Each(Vec<T>),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for PerLevel<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Value::deserialize(deserializer)?;
        let read = if found.is_array() {
            Vec::deserialize(&found).map(Self::Each)
        } else {
            T::deserialize(&found).map(Self::One)
        };
        read.map_err(|_| {
            D::Error::custom(format!(
                "found {found}, expected one value, or a list of one for each of block_out_channels"
            ))
        })
    }
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
