//! The recordings that quickstart starts from, where the user gives none.

use super::{Quickstart, QuickstartError};
use crate::progress::Progress;
use crate::synth;
use nocturne_vocoder::audio::Audio;
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

const SECONDS_A_TRACK: f64 = 60.0;

/// Writes tracks of a minute each into `recordings/`; those that are there already are kept.
pub fn synthesise(job: &Quickstart<'_>, progress: &mut Progress) -> Result<PathBuf, QuickstartError> {
    let folder = job.output.join("recordings");
    std::fs::create_dir_all(&folder).map_err(|source| QuickstartError::Write { path: folder.clone(), source })?;
    // Two at least: one to train on, one to hold out.
    let tracks = ((job.minutes * 60.0 / SECONDS_A_TRACK).round() as u64).max(2);
    let (sample_rate, seed) = (job.experiment.data.sample_rate, job.experiment.train.seed);
    tracing::info!("synthesise: {tracks} tracks of soft ambient music into {}", folder.display());
    progress.start("tracks", tracks);
    let done = AtomicU64::new(0);
    let watching = &*progress;
    (0..tracks).into_par_iter().try_for_each(|index| {
        if job.stop.load(Ordering::Relaxed) {
            return Err(QuickstartError::Interrupted);
        }
        let path = folder.join(format!("track-{index:03}.flac"));
        if !path.exists() {
            let samples = synth::track(seed, index, SECONDS_A_TRACK, sample_rate);
            Audio { sample_rate, channels: vec![samples] }.write(&path)?;
        }
        watching.at(done.fetch_add(1, Ordering::Relaxed) + 1, "");
        Ok(())
    })?;
    progress.finish();
    Ok(folder)
}
