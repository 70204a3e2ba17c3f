//! `convert IN OUT.wav|flac|mp3`: decodes and encodes. Used by `scripts/reference/mp3.py`.

use std::error::Error;
use std::path::Path;

use nocturne_vocoder::audio::Audio;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else { return Err("usage: convert IN OUT".into()) };
    Ok(Audio::decode(Path::new(input))?.write(Path::new(output))?)
}
