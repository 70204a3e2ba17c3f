//! The timed side of `scripts/bench/embedders.py`: says on its first line what it made of the sound, then makes it again for
//! each line on standard input and prints the seconds it took, so that the script can alternate it with the reference.
//!
//! `embedder_bench NAME WEIGHTS AUDIO`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use nocturne_evaluation::embedder;
use nocturne_vocoder::audio::Audio;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, weights, audio] = &arguments[..] else { return Err("expected NAME WEIGHTS AUDIO".into()) };
    let embedder = embedder::open(name, Path::new(weights), &Device::flex())?;
    let audio = Audio::decode(Path::new(audio))?;
    let vectors = embedder.embed(&audio);
    let (frames, dim) = vectors.dim();
    println!("{{\"shape\": [{frames}, {dim}], \"values\": {:?}}}", vectors.iter().collect::<Vec<_>>());
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        embedder.embed(&audio);
        println!("{{\"seconds\": {}}}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
