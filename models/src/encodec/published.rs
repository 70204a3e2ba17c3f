//! The network as others keep it.

use burn::tensor::{Tensor, TensorData};

use super::{Encodec, Layer};
use crate::checkpoint::Named;

impl Encodec {
    /// The tensors of transformers' `EncodecModel`: weight norm is taken apart again, and what codebooks are trained with is as if
    /// each entry had been chosen once.
    ///
    /// # Errors
    ///
    /// If the device does not give the values.
    pub fn published(&self) -> std::io::Result<Vec<Named>> {
        let mut tensors = Vec::new();
        for tensor in Named::all(self) {
            if let Some(layer) = tensor.name.strip_suffix("conv.weight").filter(|_| self.decoder.cuts) {
                tensors.extend(apart(&format!("{layer}conv."), &tensor)?);
            } else if let Some(codebook) = tensor.name.strip_suffix("embed") {
                let device = tensor.values.device();
                let ones = |name: &str, count: usize| Named {
                    name: format!("{codebook}{name}"),
                    shape: vec![count],
                    values: Tensor::ones([count], &device),
                };
                tensors.extend([ones("cluster_size", tensor.shape[0]), ones("inited", 1)]);
                tensors.push(Named { name: format!("{codebook}embed_avg"), ..tensor.clone() });
                tensors.push(tensor);
            } else {
                tensors.push(Named { name: numbered_last(&tensor.name), ..tensor });
            }
        }
        Ok(tensors)
    }

    /// The same by audiocraft's names.
    ///
    /// # Errors
    ///
    /// As [`Encodec::published`].
    pub fn published_by_audiocraft(&self) -> std::io::Result<Vec<Named>> {
        let layers = self.decoder.layers.iter().enumerate();
        let transposed = layers.filter(|(_, layer)| matches!(layer, Layer::ConvTranspose(_)));
        let transposed: Vec<String> = transposed.map(|(index, _)| format!("decoder.layers.{index}.")).collect();
        let theirs = |ours: &str| {
            let conv = if transposed.iter().any(|layer| ours.starts_with(layer)) { "convtr" } else { "conv" };
            ours.replace(".conv.", &format!(".{conv}.{conv}."))
                .replace(".norm.", &format!(".{conv}.norm."))
                .replace("quantizer.layers.", "quantizer.vq.layers.")
                .replace(".codebook.", "._codebook.")
                .replace("coder.layers.", "coder.model.")
        };
        let tensors = self.published()?.into_iter();
        Ok(tensors.map(|tensor| Named { name: theirs(&tensor.name), ..tensor }).collect())
    }
}

/// PyTorch numbers the layers of an LSTM at the end of the name.
fn numbered_last(ours: &str) -> String {
    let parts = ours.split_once(".lstm.").and_then(|(before, rest)| Some((before, rest.split_once('.')?)));
    parts.map_or_else(|| ours.to_owned(), |(before, (layer, kind))| format!("{before}.lstm.{kind}_l{layer}"))
}

/// A weight as PyTorch's `weight_norm` keeps it: the lengths of its rows, and directions, of which its own rows are some.
fn apart(layer: &str, weight: &Named) -> std::io::Result<[Named; 2]> {
    let (device, rows) = (weight.values.device(), weight.shape[0]);
    let mut directions = weight.host()?;
    let mut magnitudes = Vec::with_capacity(rows);
    for row in directions.chunks_exact_mut(weight.shape[1..].iter().product::<usize>().max(1)) {
        let magnitude = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() as f32;
        if magnitude == 0.0 {
            // Without a direction there is no length of 0.
            row.fill(1.0);
        }
        magnitudes.push(magnitude);
    }
    let axes = |axis| if axis == 0 { rows } else { 1 };
    let named = |name: &str, shape: Vec<usize>, values: Vec<f32>| {
        let count = values.len();
        Named {
            name: format!("{layer}{name}"),
            shape,
            values: Tensor::from_data(TensorData::new(values, [count]), &device),
        }
    };
    let magnitudes = named("weight_g", (0..weight.shape.len()).map(axes).collect(), magnitudes);
    Ok([magnitudes, named("weight_v", weight.shape.clone(), directions)])
}
