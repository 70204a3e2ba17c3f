/// The bucket of a key at `distance` positions after its query (before it, if negative), of `buckets` buckets.
///
/// The first half is for keys up to the query, the second for those after it. In each half, the first half has a
/// bucket for every distance, the rest covers the distances up to `max_distance` in equal steps of their logarithm; all
/// beyond share the last one.
///
/// In single precision, as the published networks were trained: the steps' edges fall where its rounding puts them.
pub fn relative_position_bucket(distance: i64, buckets: usize, max_distance: usize) -> usize {
    let half = buckets / 2;
    let (exact, start) = (half / 2, if distance > 0 { half } else { 0 });
    let distance = distance.unsigned_abs() as usize;
    if distance < exact {
        return start + distance;
    }
    let steps = (half - exact) as f32;
    let position =
        libm::logf(distance as f32 / exact as f32) / libm::log(max_distance as f64 / exact as f64) as f32 * steps;
    start + (exact + position as usize).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_direction_has_its_half() {
        let bucket = |distance| relative_position_bucket(distance, 32, 128);
        assert_eq!([0, -1, -7, 1, 7].map(bucket), [0, 1, 7, 17, 23]);
        assert_eq!([-8, 8, -127, 127].map(bucket), [8, 24, 15, 31]);
        assert_eq!([-128, 128, i64::MIN, i64::MAX].map(bucket), [15, 31, 15, 31]);
    }

    #[test]
    fn farther_is_never_a_lower_bucket() {
        for (buckets, max_distance) in [(4, 2), (8, 20), (32, 128), (64, 1000)] {
            let row: Vec<usize> = (0..3000).map(|d| relative_position_bucket(-d, buckets, max_distance)).collect();
            assert!(row.is_sorted() && row[0] == 0 && row[2999] == buckets / 2 - 1, "{row:?}");
        }
    }
}
