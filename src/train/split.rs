//! The validation split: by recording, never by slice, because slices of one recording resemble each other.

use std::collections::BTreeSet;

use nocturne_models::random::Random;

use super::batches::Examples;

/// Indices of the examples on either side.
#[derive(Debug, PartialEq, Eq)]
pub struct Split {
    /// Examples to train on; never empty unless there are no examples.
    pub train: Vec<usize>,
    /// Examples to validate with.
    pub validation: Vec<usize>,
}

impl Split {
    /// What to show: held-out examples, or those trained on where none were held out.
    pub fn shown(&self) -> &[usize] {
        if self.validation.is_empty() { &self.train } else { &self.validation }
    }
}

/// Takes `fraction` of the recordings (rounded, at least one where it is above zero and there are two) for validation.
/// The choice depends on the seed and on the sorted names alone.
pub fn by_source(examples: &dyn Examples, fraction: f64, seed: u64) -> Split {
    let sources: BTreeSet<&str> = (0..examples.len()).map(|index| examples.source(index)).collect();
    let mut sources: Vec<&str> = sources.into_iter().collect();
    Random::new(seed, "validation", 0).shuffle(&mut sources);
    let wanted = if fraction > 0.0 { ((sources.len() as f64 * fraction).round() as usize).max(1) } else { 0 };
    let held_out: BTreeSet<&str> = sources.iter().take(wanted.min(sources.len().saturating_sub(1))).copied().collect();
    let (validation, train) = (0..examples.len()).partition(|index| held_out.contains(examples.source(*index)));
    Split { train, validation }
}

/// At most `most` of these, evenly spread.
pub fn spread(indices: &[usize], most: usize) -> impl Iterator<Item = usize> {
    indices.iter().step_by(indices.len().div_ceil(most).max(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::error::TrainError;

    struct Slices(Vec<String>);

    impl Examples for Slices {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn shape(&self) -> [usize; 3] {
            [1, 1, 1]
        }

        fn source(&self, index: usize) -> &str {
            &self.0[index]
        }

        fn read(&self, _index: usize, _: &mut Random, _out: &mut [f32]) -> Result<(), TrainError> {
            Ok(())
        }
    }

    fn slices(recordings: usize) -> Slices {
        Slices((0..recordings * 7).map(|slice| format!("{}.wav", slice % recordings)).collect())
    }

    #[test]
    fn no_recording_is_on_both_sides() {
        let examples = slices(20);
        for seed in 0..20 {
            let Split { train, validation } = by_source(&examples, 0.1, seed);
            assert_eq!((train.len(), validation.len()), (18 * 7, 2 * 7));
            let held_out: BTreeSet<&str> = validation.iter().map(|index| examples.source(*index)).collect();
            assert!(train.iter().all(|index| !held_out.contains(examples.source(*index))));
        }
    }

    #[test]
    fn one_recording_is_for_training() {
        assert!(by_source(&slices(1), 0.5, 0).validation.is_empty());
        assert!(by_source(&slices(5), 0.0, 0).validation.is_empty());
        assert_eq!(by_source(&slices(2), 0.01, 0).validation.len(), 7);
        assert_eq!(by_source(&slices(3), 1.0, 0).train.len(), 7);
    }
}
