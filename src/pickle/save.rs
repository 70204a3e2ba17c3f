//! Tensors as `torch.save` writes them, for Python: a zip archive of a pickle and of storages of f32.

use std::io::{self, Seek, Write};
use std::path::Path;

use nocturne_models::files::write_atomically;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// A tensor to be written: its name, its shape, and its values in row-major order.
pub type Named<'a> = (&'a str, &'a [usize], &'a [f32]);

/// Writes `{key: {name: tensor}}`, which `torch.load` opens, also where it allows weights only. The file appears whole or not
/// at all.
pub fn save(path: &Path, key: &str, tensors: &[Named<'_>]) -> io::Result<()> {
    save_with(path, key, tensors, &[])
}

/// The same with texts beside the tensors' dictionary.
pub fn save_with(path: &Path, key: &str, tensors: &[Named<'_>], texts: &[[&str; 2]]) -> io::Result<()> {
    write_atomically(path, |out| archive(out, key, tensors, texts))
}

fn archive(out: impl Write + Seek, key: &str, tensors: &[Named<'_>], texts: &[[&str; 2]]) -> io::Result<()> {
    // Beyond four gigabytes an entry needs a larger header.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    let mut archive = ZipWriter::new(out);
    let mut entry = |name: &str, write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
        archive.start_file(format!("archive/{name}"), options).map_err(io::Error::other)?;
        write(&mut archive)
    };
    let pickle = pickle(key, tensors, texts)?;
    entry("data.pkl", &|out| out.write_all(&pickle))?;
    entry("byteorder", &|out| out.write_all(b"little"))?;
    for (index, (_, _, values)) in tensors.iter().enumerate() {
        entry(&format!("data/{index}"), &|out| {
            values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
        })?;
    }
    entry("version", &|out| out.write_all(b"3\n"))?;
    archive.finish().map_err(io::Error::other)?;
    Ok(())
}

/// The pickle of protocol 2. In it, instructions are letters.
fn pickle(key: &str, tensors: &[Named<'_>], texts: &[[&str; 2]]) -> io::Result<Vec<u8>> {
    let mut out = b"\x80\x02}(".to_vec();
    text(&mut out, key)?;
    out.extend(b"}(");
    for (index, (name, shape, values)) in tensors.iter().enumerate() {
        text(&mut out, name)?;
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage")?;
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &index.to_string())?;
        text(&mut out, "cpu")?;
        number(&mut out, values.len())?;
        out.extend(b"tQ");
        number(&mut out, 0)?;
        let strides = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product());
        numbers(&mut out, shape.iter().copied())?;
        numbers(&mut out, strides)?;
        // No gradient, no hooks.
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.push(b'u');
    for part in texts.as_flattened() {
        text(&mut out, part)?;
    }
    out.extend(b"u.");
    Ok(out)
}

fn text(out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    out.push(b'X');
    out.extend(length.to_le_bytes());
    out.extend(text.as_bytes());
    Ok(())
}

fn number(out: &mut Vec<u8>, number: usize) -> io::Result<()> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    out.push(b'J');
    out.extend(number.to_le_bytes());
    Ok(())
}

fn numbers(out: &mut Vec<u8>, values: impl Iterator<Item = usize>) -> io::Result<()> {
    out.push(b'(');
    for value in values {
        number(out, value)?;
    }
    out.push(b't');
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nocturne_models::checkpoint::{self, Checkpoint};

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.pt");
        let values = [1.0, -2.5, 3.0, 0.0, f32::MIN_POSITIVE, 6.0];
        save(&path, "generator", &[("a.weight", &[2, 3], &values), ("a.bias", &[1], &[7.0])]).unwrap();
        let found = Checkpoint::open(&path).unwrap();
        assert_eq!(found.names().collect::<Vec<_>>(), ["generator.a.bias", "generator.a.weight"]);
        assert_eq!(found.shape("generator.a.weight"), Some(&[2, 3][..]));
        assert_eq!(found.read("generator.a.weight").unwrap(), values);
        assert_eq!(found.read("generator.a.bias").unwrap(), [7.0]);
        save_with(&path, "best", &[("a", &[1], &[7.0])], &[["xp.cfg", "dim: 3\n"], ["version", "1"]]).unwrap();
        assert_eq!(Checkpoint::open(&path).unwrap().names().collect::<Vec<_>>(), ["best.a"]);
        assert_eq!(checkpoint::text(&path, "xp.cfg").as_deref(), Some("dim: 3\n"));
    }
}
