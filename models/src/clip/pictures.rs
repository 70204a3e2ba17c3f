use burn::tensor::{Device, Tensor, TensorData};

use super::resize;

/// Means and standard deviations of red, green and blue, where white is 1, in what CLIP was trained with.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Why pictures cannot be prepared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pictures: {field}: found {found}, expected {expected}")]
pub struct PicturesError {
    /// What is wrong with them.
    pub field: &'static str,
    /// What it is.
    pub found: String,
    /// What it should be.
    pub expected: String,
}

/// Pictures, or frames of a video, as networks of pictures of that side see them: squeezed to a square, whatever their shape,
/// as the published conditioner of music on video does it; nothing is cut off. Values are 0…1 (a byte's 255 is 1), and where
/// the cubics overshoot they are cut to that again, as those of bytes are; but they are not rounded to bytes.
///
/// # Shapes
///
/// `[batch, 3, height, width]`, red before green before blue → `[batch, 3, side, side]`
///
/// # Errors
///
/// If there are no pictures or no pixels, not as many values as `[batch, height, width]` says, or others than 0…1.
pub fn prepare(
    values: &[f32],
    [batch, height, width]: [usize; 3],
    side: usize,
    device: &Device,
) -> Result<Tensor<4>, PicturesError> {
    let error = |field, found, expected: &str| Err(PicturesError { field, found, expected: expected.to_owned() });
    let shape = [batch, MEAN.len(), height, width];
    if shape.contains(&0) || side == 0 {
        return error("shape", format!("{shape:?} to a side of {side}"), "no dimension of 0");
    }
    let expected = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    if expected != Some(values.len()) {
        return error("values", values.len().to_string(), &format!("as many as {shape:?} says"));
    }
    if let Some(value) = values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        return error("values", value.to_string(), "0 to 1");
    }
    let mut resized = resize(values, [height, width], [side; 2]);
    for (plane, values) in resized.chunks_exact_mut(side * side).enumerate() {
        let (mean, std) = (MEAN[plane % MEAN.len()], STD[plane % STD.len()]);
        for value in values {
            *value = (value.clamp(0.0, 1.0) - mean) / std;
        }
    }
    Ok(Tensor::from_data(TensorData::new(resized, [batch, MEAN.len(), side, side]), device))
}
