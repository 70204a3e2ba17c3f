//! Jobs that join the three crates: datasets, training, pipelines.
