//! `TensorBoard`'s `Event` message (tensorflow/core/util/event.proto and framework/summary.proto): the few fields that
//! we write, encoded by hand.

/// What an event holds beside its step.
pub enum Value<'a> {
    /// The first record of every file.
    FileVersion,
    /// One number.
    Scalar {
        /// Its name; a slash makes a group.
        tag: &'a str,
        /// The number.
        value: f32,
    },
    /// One grey PNG picture.
    Image {
        /// Its name.
        tag: &'a str,
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// The PNG file.
        png: &'a [u8],
    },
    /// One WAV clip.
    Audio {
        /// Its name.
        tag: &'a str,
        /// In hertz.
        sample_rate: u32,
        /// Channels.
        channels: u32,
        /// Samples a channel.
        frames: u64,
        /// The WAV file.
        wav: &'a [u8],
    },
}

const GREY: u64 = 1;

/// The bytes of an `Event`. `wall_time` is in seconds since 1970.
pub fn encode(wall_time: f64, step: u64, value: &Value) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.varint(2, step);
    let mut entry = Message::default();
    match *value {
        Value::FileVersion => {
            event.bytes(3, b"brain.Event:2");
            return event.0;
        }
        Value::Scalar { tag, value } => {
            entry.bytes(1, tag.as_bytes());
            entry.float(2, value);
        }
        Value::Image { tag, width, height, png } => {
            let mut image = Message::default();
            image.varint(1, height.into());
            image.varint(2, width.into());
            image.varint(3, GREY);
            image.bytes(4, png);
            entry.bytes(1, tag.as_bytes());
            entry.bytes(4, &image.0);
        }
        Value::Audio { tag, sample_rate, channels, frames, wav } => {
            let mut audio = Message::default();
            audio.float(1, sample_rate as f32);
            audio.varint(2, channels.into());
            audio.varint(3, frames);
            audio.bytes(4, wav);
            audio.bytes(5, b"audio/wav");
            entry.bytes(1, tag.as_bytes());
            entry.bytes(6, &audio.0);
        }
    }
    let mut summary = Message::default();
    summary.bytes(1, &entry.0);
    event.bytes(5, &summary.0);
    event.0
}

/// The step of an event that [`encode`] wrote: its second field, after nine bytes of time.
pub fn step(event: &[u8]) -> Option<u64> {
    let (tag, varint) = event.get(9..)?.split_first()?;
    if *tag != 2 << 3 {
        return None;
    }
    let mut step = 0;
    for (index, byte) in varint.iter().take(10).enumerate() {
        step |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(step);
        }
    }
    None
}

/// A protocol buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u8, wire_type: u8) {
        self.0.push(field << 3 | wire_type);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u8, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    fn double(&mut self, field: u8, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u8, value: &[u8]) {
        self.key(field, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
    }

    fn float(&mut self, field: u8, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_the_bytes_that_protoc_would_write() {
        let found = encode(1.5, 300, &Value::Scalar { tag: "loss", value: 0.25 });
        let expected = [
            &[0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x10, 0xac, 0x02, 0x2a, 0x0d, 0x0a, 0x0b, 0x0a, 0x04][..],
            b"loss",
            &[0x15, 0, 0, 0x80, 0x3e],
        ]
        .concat();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_step_reads_back() {
        for expected in [0, 1, 127, 128, 1_000_000, u64::MAX] {
            assert_eq!(step(&encode(1e9, expected, &Value::FileVersion)), Some(expected));
        }
        assert_eq!(step(b"short"), None);
        assert_eq!(step(&[0xff; 30]), None);
    }
}
