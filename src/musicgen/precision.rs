use nocturne_models::ops::Narrow;
use serde::{Deserialize, Serialize};

/// How the weights of the language model's layers are held; everything else is float32. Fewer bytes are read sooner, and take
/// less memory; what they stand for differs, and so does the music.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As they were trained.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
    /// Whole numbers of 8 bits, with a scale for every 32.
    Int8,
    /// Whole numbers of 4 bits, with a scale for every 32.
    Int4,
}

impl Precision {
    /// Narrower than float32.
    pub fn narrow(self) -> Option<Narrow> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(Narrow::Bf16),
            Self::Int8 => Some(Narrow::Int8),
            Self::Int4 => Some(Narrow::Int4),
        }
    }
}
