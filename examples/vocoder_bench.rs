//! The timed side of `scripts/bench/vocoder.py`, and a comparison of full size.
//!
//! `vocoder_bench NAME SECONDS`, for one of BigVGAN's published configurations with random weights: says on its first line what
//! it runs, then vocodes so many seconds once for each line on standard input and prints the seconds it took.
//!
//! `vocoder_bench compare FOLDER` prints the signal-to-error ratio of the samples of a folder that
//! `scripts/reference/bigvgan.py --full` wrote.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use ndarray::Array3;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::network::NetworkConfig;
use nocturne_models::random::Random;
use nocturne_vocoder::bigvgan::{BigVgan, BigVganConfig};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    nocturne::memory::keep_freed();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["compare", folder] => compare(Path::new(folder)),
        [name, seconds] => serve(name, seconds.parse()?),
        _ => Err("expected NAME SECONDS, or compare FOLDER".into()),
    }
}

fn serve(name: &str, seconds: f64) -> Result<(), Box<dyn Error>> {
    let (config, device) = (BigVganConfig::published(name)?, Device::flex());
    let mut random = Random::new(0, "bench", 0);
    let generator = config.init(&device, &mut random)?;
    let mel = config.mel;
    let frames = (seconds * f64::from(mel.sampling_rate) / mel.hop_size as f64).round() as usize;
    let noise = random.normal(mel.num_mels * frames);
    let mels = Array3::from_shape_vec((1, mel.num_mels, frames), noise)?.mapv(|value| 2.0 * value - 5.0);
    let parameters = config.parameter_count()?;
    println!("{}", json!({ "config": config, "frames": frames, "parameters": parameters }));
    let vocoder = BigVgan::new(config, generator, &device);
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        vocoder.audio(mels.view())?;
        println!("{}", json!({ "seconds": start.elapsed().as_secs_f64() }));
    }
    Ok(())
}

fn compare(folder: &Path) -> Result<(), Box<dyn Error>> {
    let read = |file: &str, name: &str| -> Result<_, Box<dyn Error>> {
        let file = Checkpoint::open(&folder.join(file))?;
        let shape = <[usize; 3]>::try_from(file.shape(name).unwrap_or_default())?;
        Ok(Array3::from_shape_vec(shape, file.read(name)?)?)
    };
    let mels = read("expected.safetensors", "mel")?;
    let found = BigVgan::open(folder, &Device::flex())?.audio(mels.view())?;
    for (what, file) in [("float32", "expected.safetensors"), ("float64", "double.safetensors")] {
        let expected = read(file, "samples")?;
        let power = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
        let signal = power(&mut expected.iter().map(|value| f64::from(*value)));
        let error = power(&mut found.iter().zip(&expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
        println!("signal to error against PyTorch in {what}: {:.1} dB", 10.0 * (signal / error).log10());
    }
    Ok(())
}
