//! The timed side of `scripts/bench/mel.py`: reads float32 clips, then does its task once for each line on standard
//! input and prints the seconds it took, so that the script can alternate it with the references.
//!
//! `mel_bench mel|griffin-lim|mel-to-audio CLIPS.f32` for clips of 131071 samples at 22050 Hz.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use ndarray::Array2;
use nocturne_vocoder::griffin_lim::{GriffinLim, Phase};
use nocturne_vocoder::mel::{ImageMel, MelConfig, MelImage, Reference, Stft, pad_zero};
use rayon::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, task, path] = arguments.as_slice() else { return Err("expected a task and a file".into()) };
    let config = MelConfig::default();
    let mel = ImageMel::new(&config)?;
    let stft = Stft::new(config.n_fft, config.hop_length);
    let bytes = std::fs::read(path)?;
    let samples: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let clips: Vec<&[f32]> = samples.chunks_exact(mel.slice_size()).collect();
    let images: Vec<MelImage> = clips.iter().map(|clip| mel.image(clip, Reference::SliceMaximum)).collect();
    let magnitudes: Vec<Array2<f32>> = clips.iter().map(|clip| magnitude(&stft, clip)).collect();
    println!("{}", serde_json::json!({ "task": task, "clips": clips.len() }));
    for _ in std::io::stdin().lock().lines() {
        let start = Instant::now();
        let done: usize = match task.as_str() {
            "mel" => clips.par_iter().map(|clip| mel.image(clip, Reference::SliceMaximum).pixels.len()).sum(),
            "griffin-lim" => magnitudes
                .iter()
                .map(|magnitude| GriffinLim::default().audio(&stft, magnitude.view(), Phase::Random { seed: 0 }).len())
                .sum(),
            "mel-to-audio" => {
                let mut done = 0;
                for image in &images {
                    done += mel.audio(mel.power(image)?.view(), 0)?.len();
                }
                done
            }
            _ => return Err(format!("no task {task}").into()),
        };
        println!("{}", serde_json::json!({ "task": task, "seconds": start.elapsed().as_secs_f64(), "values": done }));
    }
    Ok(())
}

fn magnitude(stft: &Stft, clip: &[f32]) -> Array2<f32> {
    let padded = pad_zero(clip, stft.n_fft() / 2);
    let mut scratch = stft.scratch();
    let mut magnitude = Array2::zeros((stft.bins(), stft.frames(padded.len())));
    for (frame, mut column) in magnitude.columns_mut().into_iter().enumerate() {
        stft.forward(&padded[frame * stft.hop_length()..][..stft.n_fft()], &mut scratch);
        for (value, bin) in column.iter_mut().zip(&scratch.spectrum) {
            *value = bin.norm();
        }
    }
    magnitude
}
