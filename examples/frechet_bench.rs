//! The timed side of `scripts/bench/frechet.py`: reads two files of vectors, says that it is ready, then does its task for each line on
//! standard input and prints the seconds it took, so that the script can alternate it with the reference.
//!
//!     frechet_bench frechet|infinity|songs REFERENCE.npy GENERATED.npy ROWS
//!
//! A song is ROWS vectors of the generated file. A number on a line is how many songs are done.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use ndarray::{Array2, Axis};
use nocturne::npy;
use nocturne_evaluation::{Embeddings, FadInfinity, Statistics, frechet_distance, per_song};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [task, reference, generated, rows] = arguments.as_slice() else {
        return Err("expected frechet|infinity|songs REFERENCE.npy GENERATED.npy ROWS".into());
    };
    let (reference, generated) = (vectors(Path::new(reference))?, vectors(Path::new(generated))?);
    let rows: usize = rows.parse()?;
    let (theirs, ours) = (Statistics::of(reference.view()), Statistics::of(generated.view()));
    let covariance = |set: &Statistics| set.covariance().ok_or("too few vectors");
    let (first, second) = (covariance(&theirs)?, covariance(&ours)?);
    let gaussian = theirs.gaussian()?;
    println!("{}", json!({ "dim": theirs.dim() }));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut songs = Embeddings::new();
        if task == "songs" {
            for (index, song) in generated.axis_chunks_iter(Axis(0), rows).take(line.parse()?).enumerate() {
                songs.push(index.to_string(), song)?;
            }
        }
        let start = Instant::now();
        match task.as_str() {
            "frechet" => {
                black_box(frechet_distance(theirs.mean().view(), first.view(), ours.mean().view(), second.view())?);
            }
            "infinity" => drop(black_box(FadInfinity::default().run(&gaussian, generated.view())?)),
            "songs" => drop(black_box(per_song(&gaussian, &songs))),
            other => return Err(format!("no task {other}").into()),
        }
        println!("{}", json!({ "seconds": start.elapsed().as_secs_f64() }));
    }
    Ok(())
}

fn vectors(path: &Path) -> Result<Array2<f32>, Box<dyn Error>> {
    let array = npy::read::<f32>(path)?;
    let [rows, dim] = array.shape[..] else { return Err("expected [frame, dim]".into()) };
    Ok(Array2::from_shape_vec((rows, dim), array.values)?)
}
