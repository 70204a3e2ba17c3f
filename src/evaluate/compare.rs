//! Many generated sets against many references, under many models: each set is read once.

use std::path::{Path, PathBuf};

use nocturne_evaluation::{Bootstrap, Interval};
use serde_json::Value;

use super::map::Mapper;
use super::{EvaluateError, Hearing, Keep, Loader, Manifest, Report, Row, Set, source};

/// What is compared with what.
pub struct Sets<'a> {
    /// The sets that are taken for true.
    pub references: &'a [PathBuf],
    /// What of the references counts; everything, if absent.
    pub manifest: Option<&'a Manifest>,
    /// The sets to be scored.
    pub generated: &'a [PathBuf],
    /// Under which models; none for the one that the sets are of.
    pub models: &'a [String],
    /// How audio is heard.
    pub hearing: &'a Hearing<'a>,
    /// Intervals.
    pub bootstrap: Bootstrap,
    /// Whether the report is to have maps.
    pub maps: bool,
}

/// Hears which set is being read, how many files are done, and of how many.
pub type OnProgress<'a> = dyn FnMut(&Path, usize, usize) + 'a;

/// A generated set and a reference, under one model.
pub struct Pair<'a> {
    /// What is taken for true.
    pub reference: &'a Set,
    /// What is scored.
    pub generated: &'a Set,
}

impl Pair<'_> {
    /// A number of this pair.
    pub fn row(&self, metric: impl Into<String>, value: f64, interval: Option<Interval>, details: Value) -> Row {
        let reference = Some(self.reference.provenance.path.clone());
        Row { reference, ..Row::new(&self.generated.provenance, metric, value, interval, details) }
    }
}

impl Sets<'_> {
    /// The models' names.
    pub fn models(&self) -> Vec<String> {
        if !self.models.is_empty() {
            return self.models.to_vec();
        }
        let paths: Vec<&Path> = self.references.iter().chain(self.generated).map(PathBuf::as_path).collect();
        vec![source::only_model(&paths)]
    }

    /// Maps need vectors.
    fn keep(&self, keep: Keep) -> Keep {
        if self.maps && keep == Keep::Statistics { Keep::All } else { keep }
    }

    /// Reads all sets, of which `[references, generated]` are to be kept, and calls `score` for every pair under every model.
    pub fn compare(
        &self,
        loader: &Loader,
        [keep_references, keep]: [Keep; 2],
        report: Report,
        progress: &mut OnProgress,
        mut score: impl FnMut(&Pair, &mut Report) -> Result<(), EvaluateError>,
    ) -> Result<Report, EvaluateError> {
        let keep_references = self.keep(keep_references);
        let read =
            |path: &PathBuf| loader.load(path, self.manifest, keep_references, |done, of| progress(path, done, of));
        let references: Vec<Vec<Set>> = self.references.iter().map(read).collect::<Result<_, _>>()?;
        let mut mapper = Mapper::default();
        if self.maps {
            for set in references.iter().flatten() {
                mapper.add(set, true);
            }
        }
        let mut report = self.each_mapped(loader, keep, (report, mapper), progress, |sets, report| {
            for (model, generated) in sets.iter().enumerate() {
                for reference in references.iter().map(|sets| &sets[model]) {
                    same_dimension(reference, generated)?;
                    score(&Pair { reference, generated }, report)?;
                }
            }
            Ok(())
        })?;
        report.references.extend(references.into_iter().flatten().map(|set| set.provenance));
        report.sort_by_models(loader);
        Ok(report)
    }

    /// Reads the generated sets, one after the other, and calls `score` for what it is under every model.
    pub fn each(
        &self,
        loader: &Loader,
        keep: Keep,
        report: Report,
        progress: &mut OnProgress,
        score: impl FnMut(&[Set], &mut Report) -> Result<(), EvaluateError>,
    ) -> Result<Report, EvaluateError> {
        self.each_mapped(loader, keep, (report, Mapper::default()), progress, score)
    }

    fn each_mapped(
        &self,
        loader: &Loader,
        keep: Keep,
        (mut report, mut mapper): (Report, Mapper),
        progress: &mut OnProgress,
        mut score: impl FnMut(&[Set], &mut Report) -> Result<(), EvaluateError>,
    ) -> Result<Report, EvaluateError> {
        for path in self.generated {
            let sets = loader.load(path, None, self.keep(keep), |done, of| progress(path, done, of))?;
            score(&sets, &mut report)?;
            if self.maps {
                for set in &sets {
                    mapper.add(set, false);
                }
            }
            report.generated.extend(sets.into_iter().map(|set| set.provenance));
        }
        report.maps.extend(mapper.finish());
        report.weights.extend(loader.weights());
        report.sort_by_models(loader);
        Ok(report)
    }
}

fn same_dimension(reference: &Set, generated: &Set) -> Result<(), EvaluateError> {
    let (reference, generated) = (&reference.provenance, &generated.provenance);
    if reference.dim == generated.dim {
        return Ok(());
    }
    Err(EvaluateError::Dimension {
        path: generated.path.clone(),
        found: generated.dim,
        other: reference.path.clone(),
        expected: reference.dim,
    })
}
