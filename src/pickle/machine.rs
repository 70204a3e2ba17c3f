use std::collections::HashMap;

use super::Fault;

/// More values at once, or more containers and calls altogether, are in no dictionary of tensors.
const MOST_STACKED: usize = 1 << 20;
const MOST_OBJECTS: usize = 1 << 24;

/// A value that a pickle builds; its bytes stay in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A number that does not matter to a tensor: of floating point, or of more than 64 bits.
    Number(&'a [u8]),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// A function or a class: module and name.
    Global(&'a str, &'a str),
    EmptyTuple,
    /// The index of an [`Object`].
    Object(usize),
}

/// What holds other values.
#[derive(Debug)]
pub enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    /// A call that Python would make: of what, with what, and what it would set in the result.
    Call {
        function: Value<'a>,
        arguments: Value<'a>,
        state: Option<Value<'a>>,
    },
    /// A reference to what stands outside of the pickle.
    Persistent(Value<'a>),
}

/// What a pickle builds.
#[derive(Debug)]
pub struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    /// The whole.
    pub root: Value<'a>,
}

impl<'a> Pickle<'a> {
    /// What a value refers to, if it is not plain.
    pub fn object(&self, value: Value) -> Option<&Object<'a>> {
        match value {
            Value::Object(index) => self.objects.get(index),
            _ => None,
        }
    }

    /// The parts of a tuple.
    pub fn tuple(&self, value: Value) -> Option<&[Value<'a>]> {
        match (value, self.object(value)) {
            (Value::EmptyTuple, _) => Some(&[]),
            (_, Some(Object::Tuple(parts))) => Some(parts),
            _ => None,
        }
    }

    /// The function's module and name, and the arguments, of a call.
    pub fn call(&self, value: Value) -> Option<([&'a str; 2], &[Value<'a>], Option<Value<'a>>)> {
        match self.object(value) {
            Some(Object::Call { function: Value::Global(module, name), arguments, state }) => {
                Some(([module, name], self.tuple(*arguments)?, *state))
            }
            _ => None,
        }
    }

    /// A value in a few words.
    pub fn describe(&self, value: Value) -> String {
        match (value, self.object(value)) {
            (Value::None, _) => "None".to_owned(),
            (Value::Bool(_), _) => "a truth value".to_owned(),
            (Value::Int(_) | Value::Number(_), _) => "a number".to_owned(),
            (Value::Text(_), _) => "text".to_owned(),
            (Value::Bytes(_), _) => "bytes".to_owned(),
            (Value::Global(module, name), _) => format!("{module}.{name}"),
            (Value::EmptyTuple, _) | (_, Some(Object::Tuple(_))) => "a tuple".to_owned(),
            (_, Some(Object::List(_))) => "a list".to_owned(),
            (_, Some(Object::Dict(_))) => "a dictionary".to_owned(),
            (_, Some(Object::Call { function: Value::Global(module, name), .. })) => {
                format!("what {module}.{name} would make")
            }
            _ => "an object".to_owned(),
        }
    }
}

/// Runs the first pickle in `bytes`, and gives what follows it.
pub fn parse(bytes: &[u8]) -> Result<(Pickle<'_>, &[u8]), Fault> {
    let mut machine = Machine { rest: bytes, ..Machine::default() };
    while let Some(&code) = machine.rest.first() {
        machine.rest = &machine.rest[1..];
        if code == b'.' {
            let root = machine.pop()?;
            return Ok((Pickle { objects: machine.objects, root }, machine.rest));
        }
        machine.step(code)?;
        if machine.stack.len() > MOST_STACKED || machine.objects.len() > MOST_OBJECTS {
            return Err(Fault::new("more values than a dictionary of tensors has", "such a dictionary"));
        }
    }
    Err(Fault::new("the end of the file", "the end of the pickle"))
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value<'a>>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    /// Carries one instruction out; the names are those of Python's `pickletools`.
    fn step(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            // PROTO, FRAME
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            // MARK, POP, POP_MARK
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            // BININT, BININT1, BININT2, LONG1, BINFLOAT
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'K' => self.push_unsigned(1)?,
            b'M' => self.push_unsigned(2)?,
            0x8a => {
                let bytes = self.counted(1)?;
                self.stack.push(long(bytes));
            }
            b'G' => {
                let bytes = self.take(8)?;
                self.stack.push(Value::Number(bytes));
            }
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c => self.push_text(1)?,
            b'X' => self.push_text(4)?,
            0x8d => self.push_text(8)?,
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            b'C' => self.push_bytes(1)?,
            b'B' => self.push_bytes(4)?,
            0x8e | 0x96 => self.push_bytes(8)?,
            // EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
            b')' => self.stack.push(Value::EmptyTuple),
            b't' => {
                let parts = self.since_mark()?;
                self.push_tuple(parts);
            }
            0x85..=0x87 => {
                let parts = self.last(usize::from(code - 0x84))?;
                self.push_tuple(parts);
            }
            // EMPTY_LIST, APPEND, APPENDS
            b']' => self.push_object(Object::List(Vec::new())),
            b'a' => {
                let part = self.pop()?;
                self.append(vec![part])?;
            }
            b'e' => {
                let parts = self.since_mark()?;
                self.append(parts)?;
            }
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => self.push_object(Object::Dict(Vec::new())),
            b's' => {
                let pair = self.last(2)?;
                self.set(&pair)?;
            }
            b'u' => {
                let pairs = self.since_mark()?;
                self.set(&pairs)?;
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Global(module, name));
            }
            0x93 => match self.last(2)?[..] {
                [Value::Text(module), Value::Text(name)] => self.stack.push(Value::Global(module, name)),
                _ => return Err(Fault::new("a class without a name", "its module and name")),
            },
            // REDUCE, NEWOBJ, BUILD, BINPERSID
            b'R' | 0x81 => self.call()?,
            b'b' => self.set_state()?,
            b'Q' => {
                let id = self.pop()?;
                self.push_object(Object::Persistent(id));
            }
            // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
            b'q' => self.put(1)?,
            b'r' => self.put(4)?,
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u64, top);
            }
            b'h' => self.get(1)?,
            b'j' => self.get(4)?,
            other => {
                let found = format!("the instruction 0x{other:02x}");
                return Err(Fault::new(found, "an instruction that pickled tensors need"));
            }
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let cut = || Fault::new("the end of the file", format!("{count} more bytes"));
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// An unsigned number of up to eight bytes.
    fn unsigned(&mut self, width: usize) -> Result<u64, Fault> {
        let mut array = [0; 8];
        array[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(array))
    }

    /// As many bytes as a number of `width` bytes says.
    fn counted(&mut self, width: usize) -> Result<&'a [u8], Fault> {
        let count = self.unsigned(width)?;
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn line(&mut self) -> Result<&'a str, Fault> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| Fault::new("the end of the file", "the end of a line"))?;
        let line = text(self.take(end)?)?;
        self.take(1)?;
        Ok(line)
    }

    fn push_unsigned(&mut self, width: usize) -> Result<(), Fault> {
        let number = self.unsigned(width)?;
        self.stack.push(Value::Int(number as i64));
        Ok(())
    }

    fn push_text(&mut self, width: usize) -> Result<(), Fault> {
        let text = text(self.counted(width)?)?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn push_bytes(&mut self, width: usize) -> Result<(), Fault> {
        let bytes = self.counted(width)?;
        self.stack.push(Value::Bytes(bytes));
        Ok(())
    }

    fn push_tuple(&mut self, parts: Vec<Value<'a>>) {
        if parts.is_empty() {
            self.stack.push(Value::EmptyTuple);
        } else {
            self.push_object(Object::Tuple(parts));
        }
    }

    fn push_object(&mut self, object: Object<'a>) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn top(&self) -> Result<Value<'a>, Fault> {
        let above_mark = self.stack.len() > self.marks.last().copied().unwrap_or(0);
        self.stack.last().copied().filter(|_| above_mark).ok_or_else(empty)
    }

    fn pop(&mut self) -> Result<Value<'a>, Fault> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The topmost `count` values, the lowest first.
    fn last(&mut self, count: usize) -> Result<Vec<Value<'a>>, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= floor).ok_or_else(empty)?;
        Ok(self.stack.split_off(start))
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>, Fault> {
        let mark = self.marks.pop().ok_or_else(empty)?;
        Ok(self.stack.split_off(mark))
    }

    /// The object on top, which is to be changed.
    fn target(&mut self) -> Result<&mut Object<'a>, Fault> {
        match self.top()? {
            Value::Object(index) => Ok(&mut self.objects[index]),
            _ => Err(Fault::new("a plain value", "a container")),
        }
    }

    fn append(&mut self, parts: Vec<Value<'a>>) -> Result<(), Fault> {
        match self.target()? {
            Object::List(list) => list.extend(parts),
            _ => return Err(Fault::new("another object", "a list")),
        }
        Ok(())
    }

    fn set(&mut self, pairs: &[Value<'a>]) -> Result<(), Fault> {
        let (pairs, []) = pairs.as_chunks() else {
            return Err(Fault::new("a key without a value", "pairs"));
        };
        match self.target()? {
            Object::Dict(dict) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err(Fault::new("another object", "a dictionary")),
        }
        Ok(())
    }

    fn call(&mut self) -> Result<(), Fault> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let ordered = function == Value::Global("collections", "OrderedDict") && arguments == Value::EmptyTuple;
        self.push_object(if ordered {
            Object::Dict(Vec::new())
        } else {
            Object::Call { function, arguments, state: None }
        });
        Ok(())
    }

    fn set_state(&mut self) -> Result<(), Fault> {
        let new = self.pop()?;
        if let Object::Call { state, .. } = self.target()? {
            *state = Some(new);
        }
        Ok(())
    }

    fn put(&mut self, width: usize) -> Result<(), Fault> {
        let (index, top) = (self.unsigned(width)?, self.top()?);
        self.memo.insert(index, top);
        Ok(())
    }

    fn get(&mut self, width: usize) -> Result<(), Fault> {
        let index = self.unsigned(width)?;
        let known = self.memo.get(&index).copied();
        self.stack.push(known.ok_or_else(|| Fault::new(format!("memo {index}"), "one that was set before"))?);
        Ok(())
    }
}

fn empty() -> Fault {
    Fault::new("an empty stack", "a value")
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::new("text that is not UTF-8", "UTF-8"))
}

/// A signed number of any length, the lowest byte first.
fn long(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::Number(bytes);
    }
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut array = [if negative { 0xff } else { 0 }; 8];
    array[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(array))
}
