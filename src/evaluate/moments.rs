//! Files of means and covariances: fadtk's and stable-audio-metrics'.

use std::fs;
use std::path::Path;

use ndarray::{Array1, Array2};
use nocturne_evaluation::{FrechetError, Gaussian, Statistics};

use super::EvaluateError;
use crate::npy::{self, Array, Npz, encode, write_npz};

/// A mean and a covariance from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Of how many vectors, where the file says so: ours do, fadtk's do not.
    pub count: Option<usize>,
    /// `[dim]`.
    pub mean: Array1<f64>,
    /// `[dim, dim]`.
    pub covariance: Array2<f64>,
}

impl Moments {
    /// As they are written; fewer than two vectors have none.
    pub fn of(statistics: &Statistics) -> Result<Self, FrechetError> {
        let covariance = statistics.covariance().ok_or(FrechetError::TooFewVectors { found: statistics.count() })?;
        Ok(Self { count: Some(statistics.count()), mean: statistics.mean().clone(), covariance })
    }

    /// As statistics that can be merged, where the count is known.
    pub fn into_statistics(self) -> Option<Statistics> {
        Some(Statistics::from_moments(self.count?, self.mean, self.covariance))
    }

    /// Made ready to be compared.
    pub fn gaussian(&self) -> Result<Gaussian, FrechetError> {
        Gaussian::new(self.mean.view(), self.covariance.view())
    }

    /// Of one model in an `.npz`: `MODEL.mu` and `MODEL.cov` as fadtk packs them, else `mu_ref` and `sigma_ref` of
    /// stable-audio-metrics, or `mu` and `sigma` of pytorch-fid, which name no model.
    pub fn read_packed(path: &Path, model: &str) -> Result<Self, EvaluateError> {
        let mut file = Npz::open(path)?;
        let names = file.names();
        let pairs = [
            (format!("{model}.mu"), format!("{model}.cov")),
            ("mu_ref".to_owned(), "sigma_ref".to_owned()),
            ("mu".to_owned(), "sigma".to_owned()),
        ];
        let Some((mean, covariance)) = pairs.into_iter().find(|(mean, _)| names.contains(mean)) else {
            let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            return Err(EvaluateError::NoStatistics { path: path.to_owned(), model: model.to_owned(), found });
        };
        let count_name = format!("{model}.n");
        let count = if names.contains(&count_name) { Some(file.floats(&count_name)?) } else { None };
        let count = count.map(|count| match count.values.as_slice() {
            [count] if *count >= 2.0 && count.fract() == 0.0 => Ok(*count as usize),
            _ => Err(shape(path, &count_name, &count.shape, "one count of 2 or more".to_owned())),
        });
        let (mean_values, covariance_values) = (file.floats(&mean)?, file.floats(&covariance)?);
        Self::checked(path, count.transpose()?, (&mean, mean_values), (&covariance, covariance_values))
    }

    /// From fadtk's `stats/MODEL/mu.npy` and `cov.npy`.
    pub fn read_loose(folder: &Path) -> Result<Self, EvaluateError> {
        let mean = npy::floats(&folder.join("mu.npy"))?;
        let covariance = npy::floats(&folder.join("cov.npy"))?;
        Self::checked(folder, None, ("mu.npy", mean), ("cov.npy", covariance))
    }

    fn checked(
        path: &Path,
        count: Option<usize>,
        (mean_name, mean): (&str, Array<f64>),
        (name, covariance): (&str, Array<f64>),
    ) -> Result<Self, EvaluateError> {
        let [dim] = mean.shape[..] else {
            return Err(shape(path, mean_name, &mean.shape, "[dim]".to_owned()));
        };
        if covariance.shape != [dim, dim] {
            return Err(shape(path, name, &covariance.shape, format!("[{dim}, {dim}]")));
        }
        let covariance = Array2::from_shape_vec((dim, dim), covariance.values)
            .map_err(|_| shape(path, name, &covariance.shape, format!("[{dim}, {dim}]")))?;
        Ok(Self { count, mean: Array1::from(mean.values), covariance })
    }
}

/// Writes the moments of some models into one `.npz` that fadtk reads; `MODEL.n` is ours.
pub fn write_packed(path: &Path, models: &[(String, Moments)]) -> Result<(), EvaluateError> {
    let mut arrays = Vec::new();
    for (model, Moments { count, mean, covariance }) in models {
        arrays.push((format!("{model}.mu"), encode(&[mean.len()], &mean.to_vec())));
        let values: Vec<f64> = covariance.iter().copied().collect();
        arrays.push((format!("{model}.cov"), encode(covariance.shape(), &values)));
        if let Some(count) = count {
            arrays.push((format!("{model}.n"), encode(&[], &[*count as i64])));
        }
    }
    Ok(write_npz(path, &arrays)?)
}

/// Writes fadtk's `stats/MODEL/mu.npy` and `cov.npy` below a folder.
pub fn write_loose(folder: &Path, models: &[(String, Moments)]) -> Result<(), EvaluateError> {
    for (model, Moments { mean, covariance, .. }) in models {
        let folder = folder.join("stats").join(model);
        fs::create_dir_all(&folder).map_err(EvaluateError::io(&folder))?;
        npy::write(&folder.join("mu.npy"), &[mean.len()], &mean.to_vec())?;
        let values: Vec<f64> = covariance.iter().copied().collect();
        npy::write(&folder.join("cov.npy"), covariance.shape(), &values)?;
    }
    Ok(())
}

fn shape(path: &Path, what: &str, found: &[usize], expected: String) -> EvaluateError {
    EvaluateError::Shape { path: path.to_owned(), what: what.to_owned(), found: found.to_vec(), expected }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::array;

    use super::*;

    fn moments() -> Moments {
        Moments { count: Some(7), mean: array![0.5, -0.25], covariance: array![[2.0, 1.0], [1.0, 3.0]] }
    }

    #[test]
    fn moments_return_as_they_went() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let other = Moments { mean: array![1.0, 2.0], ..moments() };
        write_packed(&path, &[("vggish".to_owned(), moments()), ("b".to_owned(), other.clone())]).unwrap();
        assert_eq!(Moments::read_packed(&path, "vggish").unwrap(), moments());
        assert_eq!(Moments::read_packed(&path, "b").unwrap(), other);
        let error = Moments::read_packed(&path, "clap").unwrap_err().to_string();
        assert!(error.contains("clap.mu") && error.contains("vggish.mu"), "{error}");
        write_loose(folder.path(), &[("vggish".to_owned(), moments())]).unwrap();
        let loose = Moments::read_loose(&folder.path().join("stats/vggish")).unwrap();
        assert_eq!(loose, Moments { count: None, ..moments() });
    }

    #[test]
    fn other_toolkits_files_are_read() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/npy");
        let fadtk = Moments::read_packed(&fixtures.join("compressed.npz"), "vggish").unwrap();
        assert_eq!(fadtk, Moments { count: None, ..moments() });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openl3.npz");
        let array = |shape: &[usize]| encode(shape, &vec![1.0_f32; shape.iter().product()]);
        write_npz(&path, &[("mu_ref".to_owned(), array(&[2])), ("sigma_ref".to_owned(), array(&[2, 2]))]).unwrap();
        assert_eq!(Moments::read_packed(&path, "any").unwrap().mean, array![1.0, 1.0]);
        for (mean, covariance, words) in
            [(&[2, 1][..], &[2, 2][..], "[dim]"), (&[2], &[2, 3], "[2, 2]"), (&[3], &[2, 2], "[3, 3]")]
        {
            write_npz(&path, &[("mu".to_owned(), array(mean)), ("sigma".to_owned(), array(covariance))]).unwrap();
            let error = Moments::read_packed(&path, "any").unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
