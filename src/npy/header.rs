//! The head of a `.npy` file: magic, version, and one flat dictionary.

/// How every file starts.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longer headers belong to structured types. `NumPy` itself refuses more than this by default.
pub const LONGEST_HEADER: usize = 10_000;
/// `NumPy`'s own limit.
pub const MOST_DIMENSIONS: usize = 32;

/// What is wrong with a header, before the file's name is known.
#[derive(Debug)]
pub struct Fault {
    pub field: &'static str,
    pub found: String,
    pub expected: String,
}

impl Fault {
    pub fn new(field: &'static str, found: impl ToString, expected: impl ToString) -> Self {
        // A hostile header is not repeated at length.
        let found = found.to_string().chars().take(80).collect();
        Self { field, found, expected: expected.to_string() }
    }
}

/// The dictionary in the header, and where the data begins.
pub fn header_text(start: &[u8]) -> Result<(&str, usize), Fault> {
    if !start.starts_with(MAGIC) {
        return Err(Fault::new("magic", start[..start.len().min(6)].escape_ascii(), MAGIC.escape_ascii()));
    }
    let (offset, length) = match start[MAGIC.len()..] {
        [1, 0, a, b, ..] => (10, usize::from(u16::from_le_bytes([a, b]))),
        [2 | 3, 0, a, b, c, d, ..] => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        [major, minor, ..] => return Err(Fault::new("version", format!("{major}.{minor}"), "1.0, 2.0 or 3.0")),
        _ => return Err(Fault::new("version", "end of file", "1.0, 2.0 or 3.0")),
    };
    if length > LONGEST_HEADER {
        return Err(Fault::new("header length", length, format!("at most {LONGEST_HEADER}")));
    }
    let Some(bytes) = start.get(offset..offset + length) else {
        return Err(Fault::new("header length", length, format!("at most {} left", start.len() - offset)));
    };
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::new("header", bytes.escape_ascii(), "text"))?;
    Ok((text, offset + length))
}

#[derive(Debug, PartialEq)]
pub struct Header {
    pub descr: String,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
}

impl Header {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let fault = || Fault::new("header", text.trim(), "{'descr': …, 'fortran_order': …, 'shape': …}");
        let mut rest = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(fault)?.trim();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = quoted(rest).ok_or_else(fault)?;
            let value = after.trim_start().strip_prefix(':').ok_or_else(fault)?.trim_start();
            let after = match key {
                "descr" => {
                    let (name, after) = quoted(value).ok_or_else(fault)?;
                    descr = Some(name.to_owned());
                    after
                }
                "fortran_order" => {
                    let (flag, length) = if value.starts_with("True") { (true, 4) } else { (false, 5) };
                    fortran_order = (flag || value.starts_with("False")).then_some(flag);
                    value.get(length..).ok_or_else(fault)?
                }
                "shape" => {
                    let (lengths, after) = value.strip_prefix('(').and_then(|v| v.split_once(')')).ok_or_else(fault)?;
                    shape = Some(parse_shape(lengths)?);
                    after
                }
                other => return Err(Fault::new("key", other, "descr, fortran_order, shape")),
            };
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return Err(fault()),
            };
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Self { descr, fortran_order, shape }),
            _ => Err(fault()),
        }
    }
}

/// The text between the quotes that `text` starts with, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn parse_shape(text: &str) -> Result<Vec<usize>, Fault> {
    let text = text.trim();
    let list = text.strip_suffix(',').unwrap_or(text);
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let length = |part: &str| part.trim().parse().map_err(|_| Fault::new("shape", text, "lengths"));
    let shape: Vec<usize> = list.split(',').map(length).collect::<Result<_, _>>()?;
    if shape.len() > MOST_DIMENSIONS {
        return Err(Fault::new("dimensions", shape.len(), format!("at most {MOST_DIMENSIONS}")));
    }
    Ok(shape)
}
