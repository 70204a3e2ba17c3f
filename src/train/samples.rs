//! What the run writes every so often for people to look at and listen to. The pipeline makes the files' contents;
//! training only stores and logs them.

use std::io;
use std::path::Path;

use nocturne_models::files::write_atomic;

/// One sampled mel, ready to be written.
pub struct Sample {
    /// Pixels across (frames).
    pub width: u32,
    /// Pixels down (mel bands).
    pub height: u32,
    /// A grey PNG file.
    pub png: Vec<u8>,
    /// The same mel as audio.
    pub clip: Option<Clip>,
}

/// A WAV file and what a reader wants to know without opening it.
pub struct Clip {
    /// In hertz.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// Samples a channel.
    pub frames: u64,
    /// The WAV file.
    pub wav: Vec<u8>,
}

/// Samples by their kind, which names their folder, where there are several.
pub type ByKind = Vec<(Option<&'static str>, Vec<Sample>)>;

/// The same things before and after a network.
pub struct Shown {
    /// Before.
    pub originals: Vec<Sample>,
    /// After.
    pub reconstructions: Vec<Sample>,
}

impl Shown {
    /// Each with the name of its kind.
    pub fn by_kind(self) -> ByKind {
        vec![(Some("original"), self.originals), (Some("reconstruction"), self.reconstructions)]
    }
}

/// Writes `000000.png`, `000000.wav` and so on into `folder`.
pub fn write_samples(folder: &Path, samples: &[Sample]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (index, sample) in samples.iter().enumerate() {
        write_atomic(&folder.join(format!("{index:06}.png")), &sample.png)?;
        if let Some(clip) = &sample.clip {
            write_atomic(&folder.join(format!("{index:06}.wav")), &clip.wav)?;
        }
    }
    Ok(())
}
