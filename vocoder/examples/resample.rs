//! `resample IN OUT.wav RATE [REPEAT]`: decodes, mixes to mono, resamples, writes 32-bit float, and prints the seconds
//! that each step took (the best of REPEAT). Used by `scripts/reference/resample.py`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use nocturne_vocoder::audio::{Audio, SampleFormat, resample};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, rate, repeat @ ..] = arguments.as_slice() else {
        return Err("usage: resample IN OUT.wav RATE [REPEAT]".into());
    };
    let rate: u32 = rate.parse()?;
    let repeat: u32 = repeat.first().map_or(Ok(1), |text| text.parse())?;
    let (mut decoding, mut resampling) = (f64::INFINITY, f64::INFINITY);
    let mut result = Audio { sample_rate: rate, channels: vec![Vec::new()] };
    for _ in 0..repeat {
        let start = Instant::now();
        let audio = Audio::decode(Path::new(input))?;
        decoding = decoding.min(start.elapsed().as_secs_f64());
        let mono = audio.mono();
        let start = Instant::now();
        result.channels = vec![resample(&mono, audio.sample_rate, rate)];
        resampling = resampling.min(start.elapsed().as_secs_f64());
    }
    result.write_as(Path::new(output), SampleFormat::Float32)?;
    println!("{{\"decode_seconds\": {decoding:.6}, \"resample_seconds\": {resampling:.6}}}");
    Ok(())
}
