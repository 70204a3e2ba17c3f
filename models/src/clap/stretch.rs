use burn::tensor::{Int, Tensor, TensorData};

/// The cubic of Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981), with PyTorch's parameter.
const A: f32 = -0.75;

/// Frames stretched to `length`, the first onto the first and the last onto the last, by cubics through four neighbours.
///
/// # Shapes
///
/// `[batch, channel, frame, mel]` → `[batch, channel, length, mel]`
pub(super) fn stretch(mel: Tensor<4>, length: usize) -> Tensor<4> {
    let [.., frames, _] = mel.dims();
    if frames == length {
        return mel;
    }
    let device = mel.device();
    // In single precision, as published: positions are rounded as they were.
    let step = (frames - 1) as f32 / (length - 1).max(1) as f32;
    let positions: Vec<f32> = (0..length).map(|index| step * index as f32).collect();
    let neighbours = (0..4).map(|neighbour| {
        let near = |position: &f32| (position.floor() as i32 + neighbour - 1).clamp(0, frames as i32 - 1);
        let indices: Vec<i32> = positions.iter().map(near).collect();
        let weight = |position: &f32| cubic((position - position.floor() + 1.0 - neighbour as f32).abs());
        let weights: Vec<f32> = positions.iter().map(weight).collect();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [length]), &device);
        let weights = Tensor::<4>::from_data(TensorData::new(weights, [1, 1, length, 1]), &device);
        mel.clone().select(2, indices) * weights
    });
    neighbours.reduce(|sum, neighbour| sum + neighbour).expect("four neighbours")
}

/// What a neighbour at this distance weighs.
fn cubic(distance: f32) -> f32 {
    if distance <= 1.0 {
        ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
    } else {
        ((A * distance - 5.0 * A) * distance + 8.0 * A) * distance - 4.0 * A
    }
}
