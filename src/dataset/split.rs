use nocturne_models::random::Random;

use super::{Dataset, DatasetError};

/// Indices of examples to train on and to validate with, each in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To train on.
    pub train: Vec<usize>,
    /// To validate with: from recordings of which nothing is in `train`.
    pub validation: Vec<usize>,
}

impl Dataset {
    /// Sets whole recordings apart for validation, until they have `validation_fraction` of the examples.
    ///
    /// Which ones depends on `seed` and on the recordings' names, and little on what else is in the dataset: a recording keeps
    /// its rank when others are added. With a fraction above 0 at least one recording is set apart, and at least one is always
    /// kept to train on.
    pub fn split_by_file(&self, validation_fraction: f64, seed: u64) -> Result<Split, DatasetError> {
        if !(0.0..1.0).contains(&validation_fraction) {
            return Err(DatasetError::Option {
                option: "validation_fraction",
                found: validation_fraction.to_string(),
                expected: "0 up to, but not, 1".to_string(),
            });
        }
        let (names, of_row) = self.audio_files()?;
        Ok(split(&names, &of_row, validation_fraction, seed))
    }
}

fn split(names: &[String], of_row: &[u32], fraction: f64, seed: u64) -> Split {
    let mut counts = vec![0_usize; names.len()];
    of_row.iter().for_each(|file| counts[*file as usize] += 1);
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_cached_key(|file| (Random::new(seed, &names[*file], 0).next_u64(), &names[*file]));
    let wanted = fraction * of_row.len() as f64;
    let mut apart = vec![false; names.len()];
    let mut examples = 0;
    for file in order.into_iter().skip(1) {
        if examples as f64 >= wanted {
            break;
        }
        apart[file] = true;
        examples += counts[file];
    }
    let (validation, train) = (0..of_row.len()).partition(|row| apart[of_row[*row] as usize]);
    Split { train, validation }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recordings(count: usize, slices: usize) -> (Vec<String>, Vec<u32>) {
        let names = (0..count).map(|index| format!("{index}.wav")).collect();
        (names, (0..count * slices).map(|row| (row / slices) as u32).collect())
    }

    #[test]
    fn never_splits_a_recording() {
        let (names, of_row) = recordings(50, 7);
        let Split { train, validation } = split(&names, &of_row, 0.1, 3);
        assert_eq!(validation.len(), 35);
        assert_eq!(train.len() + validation.len(), 350);
        for row in &validation {
            assert!(train.iter().all(|other| of_row[*other] != of_row[*row]));
        }
        assert_eq!(split(&names, &of_row, 0.1, 3), Split { train, validation: validation.clone() });
        assert_ne!(split(&names, &of_row, 0.1, 4).validation, validation);
    }

    #[test]
    fn keeps_something_to_train_on() {
        let (names, of_row) = recordings(1, 5);
        assert_eq!(split(&names, &of_row, 0.5, 0).validation, [] as [usize; 0]);
        let (names, of_row) = recordings(2, 5);
        assert_eq!(split(&names, &of_row, 0.01, 0).validation.len(), 5);
        assert_eq!(split(&names, &of_row, 0.99, 0).train.len(), 5);
        assert_eq!(split(&names, &of_row, 0.0, 0).train.len(), 10);
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter() {
        let (names, of_row) = recordings(20, 3);
        let apart = |names: &[String]| {
            let Split { validation, .. } = split(names, &of_row, 0.2, 9);
            let mut files: Vec<_> = validation.iter().map(|row| names[of_row[*row] as usize].clone()).collect();
            files.sort();
            files
        };
        let reversed: Vec<_> = names.iter().rev().cloned().collect();
        assert_eq!(apart(&names), apart(&reversed));
    }
}
