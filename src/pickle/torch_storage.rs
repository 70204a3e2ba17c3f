use super::Fault;
use super::machine::{self, Object, Pickle, Value};
use super::tensor::Type;

/// What `torch.save` begins with, and its version.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;

/// The numbers of a storage that `torch.save` wrote in its old form, which is how a storage is pickled: five pickles (magic
/// number, version, properties of the machine, the storage's description, its key), a count, the numbers.
pub fn read(bytes: &[u8]) -> Result<(Type, &[u8]), Fault> {
    let not_torch = || Fault::new("another form of storage", "the one that torch.save wrote until PyTorch 1.5");
    let (magic, rest) = machine::parse(bytes)?;
    let (version, rest) = machine::parse(rest)?;
    if magic.root != Value::Number(&MAGIC) || version.root != Value::Int(VERSION) {
        return Err(not_torch());
    }
    let (properties, rest) = machine::parse(rest)?;
    if !is_little_endian(&properties) {
        return Err(Fault::new("a big-endian storage", "a little-endian one"));
    }
    let (description, rest) = machine::parse(rest)?;
    let (_keys, rest) = machine::parse(rest)?;
    let kind = kind(&description).ok_or_else(not_torch)?;
    let (count, data) = rest.split_first_chunk().ok_or_else(not_torch)?;
    let length = u64::from_le_bytes(*count).checked_mul(kind.size() as u64);
    if length != Some(data.len() as u64) {
        let expected = format!("as many as {} numbers have", u64::from_le_bytes(*count));
        return Err(Fault::new(format!("{} bytes in a storage", data.len()), expected));
    }
    Ok((kind, data))
}

fn is_little_endian(properties: &Pickle) -> bool {
    let Some(Object::Dict(pairs)) = properties.object(properties.root) else { return false };
    pairs.contains(&(Value::Text("little_endian"), Value::Bool(true)))
}

fn kind(description: &Pickle) -> Option<Type> {
    let Object::Persistent(id) = description.object(description.root)? else { return None };
    outside(description, *id).map(|(kind, _)| kind)
}

/// The type of the numbers, and the key, of `("storage", torch.FloatStorage, key, device, count, …)`, which stands for a
/// storage outside of the pickle.
pub fn outside<'a>(pickle: &Pickle<'a>, id: Value<'a>) -> Option<(Type, &'a str)> {
    match pickle.tuple(id)? {
        [Value::Text("storage"), Value::Global("torch", name), Value::Text(key), ..] => {
            let kind = match *name {
                "FloatStorage" => Type::F32,
                "DoubleStorage" => Type::F64,
                "HalfStorage" => Type::F16,
                "BFloat16Storage" => Type::Bf16,
                _ => return None,
            };
            Some((kind, key))
        }
        _ => None,
    }
}
