use nocturne_vocoder::mel::{LogMel, LogMelConfig};

use crate::fixtures::Fixture;
use crate::signals::signal;

#[test]
fn log_mels_are_those_of_bigvgan() {
    let fixture = Fixture::open("mel_log.safetensors");
    let mut compared = 0;
    for name in LogMelConfig::names() {
        let config = LogMelConfig::published(name).unwrap();
        let ours = LogMel::new(&config).unwrap().mel(&signal("notes", 12 * config.hop_size + 7));
        let expected = fixture.matrix(name);
        assert_eq!(ours.dim(), expected.dim(), "{name}");
        for (x, y) in ours.iter().zip(&expected) {
            // Both transforms round to float32 of the loudest bin, 1e-7; near the floor that is 3e-5 of the value.
            assert!((x - y).abs() < 1e-4, "{name}: {x} {y}");
        }
        compared += 1;
    }
    assert_eq!(compared, fixture.names().len());
}
