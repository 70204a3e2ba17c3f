//! `nocturne doctor`: what devices and codecs this machine has.

use super::{Failure, Global, Outcome, Output};
use nocturne_models::device::devices;
use nocturne_vocoder::audio;
use serde_json::json;

pub(super) fn run(global: &Global, output: &Output) -> Result<Outcome, Failure> {
    let chosen = global.device.open().map_err(Failure::usage)?;
    let devices = devices();
    let object = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "cuda": cfg!(feature = "cuda"),
        "device": global.device.to_string(),
        "devices": devices.iter().map(|device| json!({
            "select": device.choice.to_string(),
            "name": device.name,
            "chosen": device.choice.open().is_ok_and(|device| device == chosen),
        })).collect::<Vec<_>>(),
        "reads": audio::READS,
        "writes": audio::WRITES,
    });
    let mut lines = vec![format!("nocturne {}", env!("CARGO_PKG_VERSION"))];
    for device in &devices {
        let mark = if device.choice.open().is_ok_and(|device| device == chosen) { ", used" } else { "" };
        lines.push(format!("device  {}  {}{mark}", device.choice, device.name));
    }
    if !cfg!(feature = "cuda") {
        lines.push("built without CUDA (cargo build --release --features cuda)".to_owned());
    }
    lines.push(format!("reads   {}", audio::READS.join(" ")));
    lines.push(format!("writes  {}", audio::WRITES.join(" ")));
    output.result(&object, &lines.join("\n"));
    Ok(Outcome::Done)
}
