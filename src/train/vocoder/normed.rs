//! A network whose weights are moved by their magnitudes and directions.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use nocturne_models::checkpoint::{Checkpoint, CheckpointError};
use nocturne_models::files::write_atomic;
use nocturne_models::parameters;
use nocturne_models::weight_norm::WeightNorm;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};

use crate::train::TrainError;
use crate::train::gradients::Named;
use crate::train::learner::device;
use crate::train::optimizer::{AdamW, AdamWConfig, Moments};

const WEIGHTS: &str = "weights.safetensors";
/// The optimiser's state, in the shape of the parts and named as in torch's.
const FIRST_MOMENTS: &str = "exp_avg.safetensors";
const SECOND_MOMENTS: &str = "exp_avg_sq.safetensors";
/// What published files and PyTorch's parametrisations call the two parts.
const PARTS: [[&str; 2]; 2] =
    [["weight_g", "weight_v"], ["parametrizations.weight.original0", "parametrizations.weight.original1"]];

/// A tensor on the host, in PyTorch's order.
pub struct HostTensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// A network under training, the parts of its normed weights, and the optimiser's state of all. A part is named as published:
/// `layer.weight_g`, `layer.weight_v`.
pub struct Normed<N> {
    network: N,
    /// By the name of the weight.
    norms: BTreeMap<String, WeightNorm>,
    shapes: BTreeMap<String, Vec<usize>>,
    optimizer: AdamW,
}

impl<N: Module> Normed<N> {
    /// Prepares a network, which is on its device and without autodiff. Weights of which `is_normed` holds are taken apart as
    /// PyTorch does it.
    pub fn new(network: N, is_normed: impl Fn(&str) -> bool, config: AdamWConfig) -> Self {
        let mut norms = BTreeMap::new();
        parameters::visit(&network, |name, shape, weight| {
            if is_normed(name) {
                norms.insert(name.to_owned(), WeightNorm::of(weight, shape[0]));
            }
        });
        let shapes = parameters::shapes(&network).into_iter().collect();
        Self { network: folded(network.train(), &norms), norms, shapes, optimizer: AdamW::new(config) }
    }

    /// Takes the parts from a published file that has them, whose weights the network has already.
    pub fn with_parts_of(mut self, from: &Checkpoint) -> Result<Self, CheckpointError> {
        let device = device(&self.network);
        for (name, norm) in &mut self.norms {
            let layer = name.strip_suffix("weight").unwrap_or(name);
            let keys = PARTS.map(|parts| parts.map(|part| format!("{layer}{part}")));
            if let Some([magnitude, direction]) =
                keys.iter().find(|keys| keys.iter().all(|key| from.shape(key).is_some()))
            {
                let read = |key: &str| -> Result<Tensor<1>, CheckpointError> { Ok(flat(from.read(key)?, &device)) };
                *norm = WeightNorm { magnitude: read(magnitude)?, direction: read(direction)? };
            }
        }
        self.network = folded(self.network, &self.norms);
        Ok(self)
    }

    /// The network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.optimizer.step
    }

    /// Gradients of weights as gradients of their parts.
    pub fn of_parts(&self, gradients: Named) -> Named {
        let mut parts = Named::new();
        for (name, gradient) in gradients {
            match self.norms.get(&name) {
                None => drop(parts.insert(name, gradient)),
                Some(norm) => parts.extend(part_names(&name).into_iter().zip(norm.gradients(&gradient))),
            }
        }
        parts
    }

    /// Moves everything that has a gradient; see [`Normed::of_parts`].
    pub fn step(&mut self, mut gradients: Named, rate: f64) {
        let optimizer = &mut self.optimizer;
        optimizer.begin_step();
        for (name, norm) in &mut self.norms {
            let [of_magnitude, of_direction] = part_names(name);
            for (name, part) in [(of_magnitude, &mut norm.magnitude), (of_direction, &mut norm.direction)] {
                if let Some(gradient) = gradients.remove(&name) {
                    *part = optimizer.update(&name, part.clone(), gradient, rate);
                }
            }
        }
        let moved = parameters::map(self.network.clone(), |name, value| match gradients.remove(name) {
            Some(gradient) => optimizer.update(name, value, gradient, rate),
            None => value,
        });
        self.network = folded(moved, &self.norms);
    }

    /// Everything under its published name, parts for normed weights.
    pub fn published(&self) -> BTreeMap<String, HostTensor> {
        self.named(&self.parts())
    }

    /// Writes weights and optimiser state into `folder`, in files whose names begin with `prefix`.
    pub fn save(&self, folder: &Path, prefix: &str) -> Result<(), TrainError> {
        let parts = self.parts();
        let moments = |part: fn(&Moments) -> &Tensor<1>| -> Named {
            let value = |(name, value): (&String, &Tensor<1>)| {
                let moment = self.optimizer.moments.get(name).map(|moments| part(moments).clone());
                (name.clone(), moment.unwrap_or_else(|| value.zeros_like()))
            };
            parts.iter().map(value).collect()
        };
        for (file, values) in [
            (WEIGHTS, &parts),
            (FIRST_MOMENTS, &moments(|moments| &moments.first)),
            (SECOND_MOMENTS, &moments(|moments| &moments.second)),
        ] {
            write_tensors(&folder.join(format!("{prefix}{file}")), &self.named(values))?;
        }
        Ok(())
    }

    /// Continues after `step` from what [`Normed::save`] wrote.
    pub fn load(&mut self, folder: &Path, prefix: &str, step: u64) -> Result<(), TrainError> {
        let device = device(&self.network);
        let expected = self.parts();
        let load = |file: &str| -> Result<Named, TrainError> {
            let path = folder.join(format!("{prefix}{file}"));
            let checkpoint = Checkpoint::open(&path)?;
            let mut found = Named::new();
            for (name, value) in &expected {
                let values = checkpoint.read(name)?;
                if values.len() != value.dims()[0] {
                    let (found, expected) = (format!("{name} of {}", values.len()), format!("{}", value.dims()[0]));
                    return Err(TrainError::Damaged { checkpoint: path, found, expected });
                }
                found.insert(name.clone(), flat(values, &device));
            }
            Ok(found)
        };
        let (mut weights, first, second) = (load(WEIGHTS)?, load(FIRST_MOMENTS)?, load(SECOND_MOMENTS)?);
        for (name, norm) in &mut self.norms {
            let [magnitude, direction] = part_names(name).map(|part| weights.remove(&part));
            if let (Some(magnitude), Some(direction)) = (magnitude, direction) {
                *norm = WeightNorm { magnitude, direction };
            }
        }
        let pairs = first.into_iter().zip(second.into_values());
        self.optimizer.moments = pairs.map(|((name, first), second)| (name, Moments { first, second })).collect();
        self.optimizer.step = step;
        let filled = parameters::map(self.network.clone(), |name, value| weights.remove(name).unwrap_or(value));
        self.network = folded(filled, &self.norms);
        Ok(())
    }

    /// All that is moved.
    fn parts(&self) -> Named {
        let mut parts = Named::new();
        parameters::visit(&self.network, |name, _, value| match self.norms.get(name) {
            None => drop(parts.insert(name.to_owned(), value)),
            Some(norm) => {
                let values = [norm.magnitude.clone(), norm.direction.clone()];
                parts.extend(part_names(name).into_iter().zip(values));
            }
        });
        parts
    }

    fn named(&self, parts: &Named) -> BTreeMap<String, HostTensor> {
        let host = |(name, values): (&String, &Tensor<1>)| {
            let values: Vec<f32> = values.to_data().convert_dtype(DType::F32).iter::<f32>().collect();
            let weight = name.strip_suffix("_g").map(|weight| (weight, true));
            let weight = weight.or_else(|| name.strip_suffix("_v").map(|weight| (weight, false)));
            let shape = match weight.filter(|(weight, _)| self.norms.contains_key(*weight)) {
                None => self.shapes[name].clone(),
                Some((weight, false)) => self.shapes[weight].clone(),
                Some((weight, true)) => {
                    let ones = vec![1; self.shapes[weight].len() - 1];
                    [vec![self.shapes[weight][0]], ones].concat()
                }
            };
            (name.clone(), HostTensor { shape, values })
        };
        parts.iter().map(host).collect()
    }
}

/// Writes tensors as safetensors, whole or not at all.
pub fn write_tensors(path: &Path, tensors: &BTreeMap<String, HostTensor>) -> Result<(), TrainError> {
    let file = serialised(tensors).map_err(std::io::Error::other).and_then(|file| write_atomic(path, &file));
    file.map_err(TrainError::io(path))
}

fn serialised(tensors: &BTreeMap<String, HostTensor>) -> Result<Vec<u8>, SafeTensorError> {
    let bytes: BTreeMap<&String, Vec<u8>> = tensors
        .iter()
        .map(|(name, tensor)| (name, tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views: Result<Vec<_>, SafeTensorError> = tensors
        .iter()
        .map(|(name, tensor)| Ok((name, TensorView::new(Dtype::F32, tensor.shape.clone(), &bytes[name])?)))
        .collect();
    let format = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(views?, Some(format))
}

fn part_names(weight: &str) -> [String; 2] {
    [format!("{weight}_g"), format!("{weight}_v")]
}

fn flat(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let count = values.len();
    Tensor::<1>::from_data(TensorData::new(values, [count]), device).without_autodiff()
}

/// The network with the weights of these parts.
fn folded<N: Module>(network: N, norms: &BTreeMap<String, WeightNorm>) -> N {
    parameters::map(network, |name, value| norms.get(name).map_or(value, WeightNorm::weight))
}
