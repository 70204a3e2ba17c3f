//! The Fréchet distance of mean-pooled log-mels between two folders of music, all windows brought to one level.
//!
//!     cargo run --release -p nocturne-evaluation --example pooled_distance -- REFERENCE GENERATED SECONDS
//!
//! Longer files are cut into windows of SECONDS. Quickstart's own table compares to held-out recordings; this takes whole
//! folders.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};

use nocturne_evaluation::Statistics;
use nocturne_evaluation::pooled_mel::PooledMel;
use nocturne_vocoder::audio::Audio;

/// The root mean square of every window.
const LEVEL: f32 = 0.1;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [reference, generated, seconds] = arguments.as_slice() else {
        return Err("expected REFERENCE GENERATED SECONDS".into());
    };
    let seconds: f64 = seconds.parse()?;
    let distance =
        statistics(Path::new(generated), seconds)?.frechet_distance(&statistics(Path::new(reference), seconds)?)?;
    println!("{distance:.2}");
    Ok(())
}

fn statistics(folder: &Path, seconds: f64) -> Result<Statistics, Box<dyn Error>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    let pooled = PooledMel::new()?;
    let mut statistics = Statistics::new(PooledMel::DIM);
    for file in files.iter().filter(|file| file.is_file()) {
        let audio = Audio::decode(file)?;
        let sample_rate = audio.sample_rate;
        let samples = audio.into_mono(sample_rate);
        let window = (seconds * f64::from(sample_rate)) as usize;
        for samples in samples.chunks_exact(window.clamp(1, samples.len().max(1))) {
            let audio = Audio { sample_rate, channels: vec![levelled(samples)] };
            statistics.merge(&Statistics::of(pooled.embed(&audio).view()));
        }
    }
    Ok(statistics)
}

fn levelled(samples: &[f32]) -> Vec<f32> {
    let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
    let gain = LEVEL / (power.sqrt() as f32).max(1e-6);
    samples.iter().map(|sample| sample * gain).collect()
}
