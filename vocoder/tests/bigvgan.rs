//! BigVGAN against the published implementation, on fixtures of `scripts/reference/bigvgan.py`, and what it promises.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, Array3, ArrayView3, s};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::random::Random;
use nocturne_vocoder::bigvgan::{AmpBlock, BigVgan, BigVganConfig, Generator};
use nocturne_vocoder::mel::MelError;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize_to_file};

/// Float32 in another order of summation: a few hundred roundings of 6e-8 each.
const TOLERANCE: f64 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bigvgan").join(name)
}

struct Taps(Checkpoint);

impl Taps {
    fn open(file: &str) -> Self {
        Self(Checkpoint::open(&fixture(file)).unwrap())
    }

    fn tensor(&self, name: &str) -> Tensor<3> {
        let shape = self.0.shape(name).unwrap_or_else(|| panic!("no tap {name}")).to_vec();
        Tensor::from_data(TensorData::new(self.0.read(name).unwrap(), shape), &Device::flex())
    }

    fn array(&self, name: &str) -> Array3<f32> {
        let &[clips, rows, columns] = self.0.shape(name).unwrap() else { panic!("{name}") };
        Array3::from_shape_vec((clips, rows, columns), self.0.read(name).unwrap()).unwrap()
    }

    fn compare(&self, name: &str, found: &Tensor<3>) {
        assert_eq!(self.0.shape(name), Some(&found.dims()[..]), "{name}");
        let error = relative_error(&found.to_data().try_to_vec().unwrap(), &self.0.read(name).unwrap());
        assert!(error < TOLERANCE, "{name}: relative error {error:e}");
    }
}

/// The largest difference over the largest value.
fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v.abs())).fold(0.0, f64::max);
    assert!(found.iter().all(|value| value.is_finite()));
    largest(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / largest(&mut expected.iter().copied())
}

fn open(name: &str) -> BigVgan {
    BigVgan::open(&fixture(name), &Device::flex()).unwrap()
}

fn generator(name: &str) -> Generator {
    network::open::<BigVganConfig>(&fixture(name), &Device::flex()).unwrap().1
}

fn flat(audio: &Array2<f32>) -> &[f32] {
    audio.as_slice().unwrap()
}

#[test]
fn every_stage_matches() {
    for name in ["a", "b"] {
        let (generator, taps) = (generator(name), Taps::open(&format!("{name}/taps.safetensors")));
        let mut hidden = generator.embed(taps.tensor("mel"));
        taps.compare("embedding", &hidden);
        let blocks = generator.resblocks.len() / generator.ups.len();
        for stage in 0..generator.ups.len() {
            let longer = taps.tensor(&format!("ups.{stage}"));
            let first = &generator.resblocks[stage * blocks];
            let activation = match first {
                AmpBlock::One(block) => &block.activations[0],
                AmpBlock::Two(block) => &block.activations[0],
            };
            taps.compare(&format!("activations.{stage}"), &activation.forward(longer.clone()));
            for (index, block) in generator.resblocks.iter().enumerate().skip(stage * blocks).take(blocks) {
                taps.compare(&format!("resblocks.{index}"), &block.forward(longer.clone()));
            }
            hidden = generator.stage(stage, hidden);
            taps.compare(&format!("stages.{stage}"), &hidden);
        }
        taps.compare("samples", &generator.samples(hidden));
        taps.compare("samples", &generator.forward(taps.tensor("mel")));
    }
}

#[test]
fn mels_of_other_lengths_match() {
    for name in ["a", "b"] {
        for kind in ["longer", "short"] {
            let taps = Taps::open(&format!("{name}/{kind}.safetensors"));
            let audio = open(name).audio(taps.array("mel").view()).unwrap();
            let error = relative_error(flat(&audio), &taps.0.read("samples").unwrap());
            assert!(error < TOLERANCE, "{name}, {kind}: relative error {error:e}");
        }
    }
}

#[test]
fn chunks_give_the_samples_of_one_pass() {
    for name in ["a", "b"] {
        let taps = Taps::open(&format!("{name}/longer.safetensors"));
        let mels = taps.array("mel");
        let whole = generator(name).forward(taps.tensor("mel")).to_data().try_to_vec::<f32>().unwrap();
        for frames in [1, 7, 60, 149, 1000] {
            let audio = open(name).with_chunk_frames(frames).audio(mels.view()).unwrap();
            let largest = flat(&audio).iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest < 1e-5, "{name} in chunks of {frames} frames: {largest:e}");
        }
    }
}

#[test]
fn a_clip_has_the_same_bits_alone_and_in_company() {
    let (vocoder, mels) = (open("a"), Taps::open("a/longer.safetensors").array("mel"));
    let together = vocoder.audio(mels.view()).unwrap();
    let generated = generator("a").forward(Taps::open("a/longer.safetensors").tensor("mel"));
    assert_eq!(generated.into_data().try_to_vec::<f32>().unwrap(), flat(&together));
    for clip in 0..2 {
        let alone = vocoder.audio(mels.slice(s![clip..=clip, .., ..])).unwrap();
        assert_eq!(together.row(clip), alone.row(0));
    }
}

#[test]
fn silence_and_extremes_give_finite_samples() {
    for name in ["a", "b"] {
        let vocoder = open(name);
        for level in [-11.5129, 2.1, -100.0, 100.0] {
            let audio = vocoder.audio(Array3::from_elem((1, 6, 3), level).view()).unwrap();
            assert_eq!(audio.dim(), (1, 3 * vocoder.config().mel.hop_size));
            assert!(audio.iter().all(|sample| sample.abs() <= 1.0), "{name} at {level}");
        }
    }
}

#[test]
fn mels_that_do_not_fit_are_refused() {
    let vocoder = open("a");
    for shape in [(1, 5, 10), (1, 6, 0)] {
        let error = vocoder.audio(Array3::zeros(shape).view()).unwrap_err();
        assert!(matches!(error, MelError::Shape { .. }), "{error}");
    }
    assert_eq!(vocoder.audio(ArrayView3::from_shape((0, 6, 2), &[]).unwrap()).unwrap().dim(), (0, 16));
}

/// Tensors of a file, to be written again in another way.
type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;

fn tensors(file: &str) -> Tensors {
    let bytes = std::fs::read(fixture(file)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| data.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    file.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), values(view.data())))).collect()
}

/// A folder with the configuration of `a` and these weights.
fn folder(tensors: &Tensors) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture("a/config.json"), folder.path().join("config.json")).unwrap();
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            (name.as_str(), shape.as_slice(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views =
        bytes.iter().map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    serialize_to_file(views, None, &folder.path().join("bigvgan_generator.safetensors")).unwrap();
    folder
}

fn samples(folder: &Path) -> Vec<f32> {
    let mels = Taps::open("a/taps.safetensors").array("mel");
    flat(&BigVgan::open(folder, &Device::flex()).unwrap().audio(mels.view()).unwrap()).to_vec()
}

/// Weights with a norm, in both of PyTorch's layouts, and folded, with and without the dictionary around them.
#[test]
fn every_layout_is_the_same_network() {
    let expected = samples(&fixture("a"));
    let folded = tensors("a/folded.safetensors");
    let close = |name: &str, tensors: &Tensors| {
        let error = relative_error(&samples(folder(tensors).path()), &expected);
        assert!(error < TOLERANCE, "{name}: relative error {error:e}");
    };
    close("folded", &folded);
    close("nested", &folded.iter().map(|(name, values)| (format!("generator.{name}"), values.clone())).collect());
    let filters = |name: &str| name.ends_with("filter");
    close("without filters", &folded.clone().into_iter().filter(|(name, _)| !filters(name)).collect());
    for [magnitude, direction] in
        [["weight_g", "weight_v"], ["parametrizations.weight.original0", "parametrizations.weight.original1"]]
    {
        let mut normed = Tensors::new();
        for (name, (shape, values)) in folded.clone() {
            let Some(layer) = name.strip_suffix("weight") else {
                normed.insert(name, (shape, values));
                continue;
            };
            let rows = values.chunks_exact(shape[1] * shape[2]);
            let norms: Vec<f32> = rows.map(|row| row.iter().map(|v| v * v).sum::<f32>().sqrt()).collect();
            normed.insert(format!("{layer}{magnitude}"), (vec![shape[0], 1, 1], norms));
            // Any length of the directions will do.
            normed.insert(format!("{layer}{direction}"), (shape, values.iter().map(|v| 3.0 * v).collect()));
        }
        close(magnitude, &normed);
        normed.insert("conv_pre.weight".to_owned(), folded["conv_pre.weight"].clone());
        refused(&normed, "conv_pre.weight");
        normed.remove("conv_pre.weight");
        let name = format!("conv_post.{magnitude}");
        normed.insert(name.clone(), (vec![2, 1, 1], vec![1.0; 2]));
        refused(&normed, &name);
        normed.remove(&name);
        refused(&normed, "1 missing: conv_post.weight");
    }
}

fn refused(tensors: &Tensors, named: &str) {
    let error = BigVgan::open(folder(tensors).path(), &Device::flex()).unwrap_err().to_string();
    assert!(error.contains(named) && !error.contains('\n'), "{error}");
}

#[test]
fn other_networks_and_damaged_files_are_refused() {
    let good = tensors("a/folded.safetensors");
    let changed = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = good.clone();
        change(&mut tensors);
        tensors
    };
    refused(&changed(&|t| drop(t.remove("ups.1.0.weight"))), "ups.1.0.weight");
    refused(&changed(&|t| drop(t.insert("mpd.weight".to_owned(), (vec![1], vec![0.0])))), "mpd.weight");
    refused(&changed(&|t| t.get_mut("conv_pre.bias").unwrap().1[3] = f32::NAN), "conv_pre.bias");
    let filter = "resblocks.2.activations.1.upsample.filter";
    refused(&changed(&|t| t.get_mut(filter).unwrap().1[4] = 0.2), filter);
    refused(&changed(&|t| drop(t.insert(filter.to_owned(), (vec![1, 1, 8], vec![0.1; 8])))), filter);

    let pickle = std::fs::read(fixture("a/bigvgan_generator.pt")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture("a/config.json"), folder.path().join("config.json")).unwrap();
    for round in 0..60 {
        let mut random = Random::new(3, "pickle", round);
        let mut bytes = pickle[..pickle.len() * round as usize / 60].to_vec();
        if round % 2 == 0 {
            bytes = pickle.clone();
            (0..400).for_each(|_| {
                let place = random.below(bytes.len() as u64) as usize;
                bytes[place] = random.next_u32() as u8;
            });
        }
        std::fs::write(folder.path().join("bigvgan_generator.pt"), bytes).unwrap();
        // Changed numbers alone may be another network; nothing panics.
        if let Err(error) = BigVgan::open(folder.path(), &Device::flex()) {
            assert!(!error.to_string().contains('\n'), "{error}");
        } else {
            assert!(round % 2 == 0, "a file that was cut");
        }
    }
}

#[test]
fn what_is_saved_opens_again() {
    let (config, generator) = network::open::<BigVganConfig>(&fixture("b"), &Device::flex()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    network::save(&config, &generator, folder.path()).unwrap();
    let again = BigVgan::open(folder.path(), &Device::flex()).unwrap();
    assert_eq!(again.config(), &config);
    let mels = Taps::open("b/taps.safetensors").array("mel");
    assert_eq!(again.audio(mels.view()).unwrap(), open("b").audio(mels.view()).unwrap());
}

/// A fresh network is x + sin² of ordinary layers, in either scale.
#[test]
fn activations_start_with_one() {
    let logarithms = BigVgan::open(&fixture("a"), &Device::flex()).unwrap().config().clone();
    let linear = BigVganConfig { snake_logscale: false, ..logarithms.clone() };
    let mel = Taps::open("a/taps.safetensors").tensor("mel");
    let [one, other] = [logarithms, linear].map(|config| {
        let generator = config.init(&Device::flex(), &mut Random::new(1, "init", 0)).unwrap();
        generator.forward(mel.clone()).into_data().try_to_vec::<f32>().unwrap()
    });
    assert_eq!(one, other);
    assert!(one.iter().any(|sample| sample.abs() > 1e-3));
}
