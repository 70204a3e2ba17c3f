use burn::tensor::{Device, Tensor, TensorData};

/// Cosines, then sines, of positions from `start` on at `width / 2` frequencies from 1 down to 1/10000, the last of them
/// included.
///
/// # Shapes
///
/// `[1, count, width]`
pub(super) fn sinusoids(start: usize, count: usize, width: usize, device: &Device) -> Tensor<3> {
    let half = width / 2;
    // In f32 at every step, as the published networks were trained: at position 1500 a rounding is visible.
    let step = -(10_000.0f64.ln() / (half as f64 - 1.0)) as f32;
    let frequencies: Vec<f32> = (0..half).map(|index| libm::expf(index as f32 * step)).collect();
    let mut values = Vec::with_capacity(count * width);
    for position in start..start + count {
        let angles = || frequencies.iter().map(|frequency| position as f32 * frequency);
        values.extend(angles().map(libm::cosf));
        values.extend(angles().map(libm::sinf));
    }
    Tensor::from_data(TensorData::new(values, [1, count, width]), device)
}
