//! Values as msgpack, by the type that the schema gives them.
//!
//! Nothing is read that has no type, and no deeper than a stack can hold, which values that bring
//! their type could be. Nothing is allocated for a length before its bytes were seen.

use std::collections::BTreeMap;

use rmp::{Marker, encode as write};

use super::{
    super::{Number, Path, Type, Value, path::Step, value::Dynamic},
    Malformed, Shape, number,
};

/// Reads a value; every extension type means unknown, whatever it tells about the value.
pub fn decode(bytes: &[u8], shape: Shape<'_>) -> Result<Value, Malformed> {
    let mut reader = Reader {
        rest: bytes,
        depth: 0,
    };
    let value = reader.value(shape)?;
    match reader.rest {
        [] => Ok(value),
        rest => Err(malformed(format!("{} bytes too many", rest.len()))),
    }
}

/// Writes a value, and null where one does not fit its type; also returns the paths of those.
pub fn encode(value: &Value, shape: Shape<'_>) -> (Vec<u8>, Vec<Path>) {
    let mut writer = Writer::default();
    writer.value(value, shape, &Path::default());
    (writer.out, writer.wrong)
}

struct Reader<'a> {
    rest: &'a [u8],
    /// How many values the next one is inside of.
    depth: u8,
}

/// Values inside values, more than any configuration has.
const DEEPEST: u8 = 128;

impl<'a> Reader<'a> {
    fn value(&mut self, shape: Shape<'_>) -> Result<Value, Malformed> {
        if self.depth == DEEPEST {
            return Err(malformed("nested too deep".to_owned()));
        }
        self.depth += 1;
        let value = self.value_here(shape)?;
        self.depth -= 1;
        Ok(value)
    }

    fn value_here(&mut self, shape: Shape<'_>) -> Result<Value, Malformed> {
        let marker = self.marker()?;
        if marker == Marker::Null {
            return Ok(Value::Null);
        }
        if let Some(length) = self.extension(marker)? {
            self.take(length.saturating_add(1))?;
            return Ok(Value::Unknown);
        }
        match shape {
            Shape::String => Ok(Value::String(self.text(marker)?.to_owned())),
            Shape::Number => Ok(Value::Number(self.number(marker)?)),
            Shape::Bool => match marker {
                Marker::True => Ok(Value::Bool(true)),
                Marker::False => Ok(Value::Bool(false)),
                other => Err(unexpected("a bool", other)),
            },
            Shape::List(item) => Ok(Value::List(self.items(marker, |_| Some(item.into()))?)),
            Shape::Set(item) => Ok(Value::set(self.items(marker, |_| Some(item.into()))?)),
            Shape::Tuple(types) => {
                let items = self.items(marker, |index| types.get(index).map(Into::into))?;
                match items.len() == types.len() {
                    true => Ok(Value::List(items)),
                    false => Err(malformed("it has too few items".to_owned())),
                }
            }
            Shape::Dynamic => self.dynamic(marker),
            Shape::Map(item) => self.entries(marker, |_| Some(item.into()), Step::Key),
            Shape::Slots(schema) => self.entries(marker, |_| Some(schema.into()), Step::Key),
            Shape::Object(_) | Shape::Record(_) => {
                let object = self.entries(marker, |name| shape.attribute(name), Step::Attribute)?;
                Ok(completed(object, shape))
            }
        }
    }

    /// A type constraint and a value of that type.
    fn dynamic(&mut self, marker: Marker) -> Result<Value, Malformed> {
        if self.count(marker)? != 2 {
            return Err(malformed("not a type and a value".to_owned()));
        }
        let marker = self.marker()?;
        let constraint = self.blob(marker)?;
        let ty = serde_json::from_slice(constraint)
            .ok()
            .and_then(|json| Type::from_json(&json))
            .ok_or_else(|| malformed("not a type".to_owned()))?;
        let value = self.value((&ty).into())?;
        Ok(match ty {
            Type::Dynamic => value,
            ty => Value::Dynamic(Box::new(Dynamic { ty, value })),
        })
    }

    fn count(&mut self, marker: Marker) -> Result<u64, Malformed> {
        Ok(match marker {
            Marker::FixArray(count) => u64::from(count),
            Marker::Array16 => u16::from_be_bytes(self.bytes()?).into(),
            Marker::Array32 => u32::from_be_bytes(self.bytes()?).into(),
            other => return Err(unexpected("a list", other)),
        })
    }

    fn items<'s>(
        &mut self,
        marker: Marker,
        shape: impl Fn(usize) -> Option<Shape<'s>>,
    ) -> Result<Vec<Value>, Malformed> {
        (0..self.count(marker)?)
            .map(|index| {
                let shape = usize::try_from(index).ok().and_then(&shape);
                let value = match shape {
                    Some(shape) => self.value(shape),
                    None => Err(malformed("it has too many items".to_owned())),
                };
                value.map_err(|error| error.inside(Step::Index(index.cast_signed())))
            })
            .collect()
    }

    fn entries<'s>(
        &mut self,
        marker: Marker,
        shape: impl Fn(&str) -> Option<Shape<'s>>,
        step: fn(String) -> Step,
    ) -> Result<Value, Malformed> {
        let count = match marker {
            Marker::FixMap(count) => u64::from(count),
            Marker::Map16 => u16::from_be_bytes(self.bytes()?).into(),
            Marker::Map32 => u32::from_be_bytes(self.bytes()?).into(),
            other => return Err(unexpected("a map", other)),
        };
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let marker = self.marker()?;
            let name = self.text(marker)?.to_owned();
            let value = match shape(&name) {
                Some(shape) => self.value(shape),
                None => Err(malformed("the schema does not have it".to_owned())),
            };
            let value = value.map_err(|error| error.inside(step(name.clone())))?;
            entries.insert(name, value);
        }
        Ok(Value::Map(entries))
    }

    fn number(&mut self, marker: Marker) -> Result<Number, Malformed> {
        let whole = |number: i64| Ok(Number::from(number));
        let exact =
            |float| number::exact(float).ok_or_else(|| malformed("not a number".to_owned()));
        match marker {
            Marker::FixPos(number) => whole(number.into()),
            Marker::FixNeg(number) => whole(number.into()),
            Marker::U8 => whole(u8::from_be_bytes(self.bytes()?).into()),
            Marker::U16 => whole(u16::from_be_bytes(self.bytes()?).into()),
            Marker::U32 => whole(u32::from_be_bytes(self.bytes()?).into()),
            Marker::U64 => Ok(u64::from_be_bytes(self.bytes()?).into()),
            Marker::I8 => whole(i8::from_be_bytes(self.bytes()?).into()),
            Marker::I16 => whole(i16::from_be_bytes(self.bytes()?).into()),
            Marker::I32 => whole(i32::from_be_bytes(self.bytes()?).into()),
            Marker::I64 => whole(i64::from_be_bytes(self.bytes()?)),
            Marker::F32 => exact(f32::from_be_bytes(self.bytes()?).into()),
            Marker::F64 => exact(f64::from_be_bytes(self.bytes()?)),
            marker => self
                .text(marker)
                .map_err(|_| unexpected("a number", marker))?
                .parse()
                .map_err(|_| malformed("not a decimal number".to_owned())),
        }
    }

    fn text(&mut self, marker: Marker) -> Result<&'a str, Malformed> {
        let length = match marker {
            Marker::FixStr(length) => length.into(),
            Marker::Str8 => u8::from_be_bytes(self.bytes()?).into(),
            Marker::Str16 => u16::from_be_bytes(self.bytes()?).into(),
            Marker::Str32 => u32::from_be_bytes(self.bytes()?).into(),
            other => return Err(unexpected("a string", other)),
        };
        std::str::from_utf8(self.take(length)?).map_err(|_| malformed("not UTF-8".to_owned()))
    }

    fn blob(&mut self, marker: Marker) -> Result<&'a [u8], Malformed> {
        let length = match marker {
            Marker::Bin8 => u8::from_be_bytes(self.bytes()?).into(),
            Marker::Bin16 => u16::from_be_bytes(self.bytes()?).into(),
            Marker::Bin32 => u32::from_be_bytes(self.bytes()?).into(),
            other => return Err(unexpected("a type", other)),
        };
        self.take(length)
    }

    /// The length of an extension's payload, if it is one.
    fn extension(&mut self, marker: Marker) -> Result<Option<u64>, Malformed> {
        Ok(Some(match marker {
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Ext8 => u8::from_be_bytes(self.bytes()?).into(),
            Marker::Ext16 => u16::from_be_bytes(self.bytes()?).into(),
            Marker::Ext32 => u32::from_be_bytes(self.bytes()?).into(),
            _ => return Ok(None),
        }))
    }

    fn marker(&mut self) -> Result<Marker, Malformed> {
        Ok(Marker::from_u8(u8::from_be_bytes(self.bytes()?)))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(malformed("it ends too early".to_owned()));
        };
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(malformed("it ends too early".to_owned()));
        };
        self.rest = rest;
        Ok(taken)
    }
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    wrong: Vec<Path>,
}

impl Writer {
    fn value(&mut self, value: &Value, shape: Shape<'_>, at: &Path) {
        match (shape, value) {
            (_, Value::Null) => self.null(),
            // Code 0 with an empty payload of one byte is how core writes it.
            (_, Value::Unknown) => self.out.extend([0xd4, 0, 0]),
            (Shape::String, Value::String(text)) => self.text(text),
            (Shape::Number, Value::Number(number)) => number::encode(number, &mut self.out),
            (Shape::Bool, Value::Bool(truth)) => {
                write::write_bool(&mut self.out, *truth).expect(MEMORY);
            }
            (Shape::List(item) | Shape::Set(item), Value::List(items)) => {
                write::write_array_len(&mut self.out, length(items.len())).expect(MEMORY);
                for (index, value) in items.iter().enumerate() {
                    self.value(value, item.into(), &at.index(index));
                }
            }
            (Shape::Tuple(types), Value::List(items)) if types.len() == items.len() => {
                write::write_array_len(&mut self.out, length(items.len())).expect(MEMORY);
                for (index, (value, ty)) in items.iter().zip(types).enumerate() {
                    self.value(value, ty.into(), &at.index(index));
                }
            }
            (Shape::Dynamic, Value::Dynamic(dynamic)) => {
                write::write_array_len(&mut self.out, 2).expect(MEMORY);
                let ty = dynamic.ty.to_json().to_string();
                write::write_bin(&mut self.out, ty.as_bytes()).expect(MEMORY);
                self.value(&dynamic.value, (&dynamic.ty).into(), at);
            }
            (Shape::Map(item), Value::Map(entries)) => self.map(entries, item.into(), at),
            (Shape::Slots(schema), Value::Map(slots)) => self.map(slots, schema.into(), at),
            (Shape::Object(_) | Shape::Record(_), Value::Map(_)) => {
                let attributes = shape.attributes();
                write::write_map_len(&mut self.out, length(attributes.len())).expect(MEMORY);
                for (name, shape) in attributes {
                    self.text(name);
                    self.value(value.get(name), shape, &at.attribute(name));
                }
            }
            _ => {
                self.wrong.push(at.clone());
                self.null();
            }
        }
    }

    fn map(&mut self, entries: &BTreeMap<String, Value>, item: Shape<'_>, at: &Path) {
        write::write_map_len(&mut self.out, length(entries.len())).expect(MEMORY);
        for (key, value) in entries {
            self.text(key);
            self.value(value, item, &at.key(key));
        }
    }

    fn text(&mut self, text: &str) {
        write::write_str(&mut self.out, text).expect(MEMORY);
    }

    fn null(&mut self) {
        write::write_nil(&mut self.out).expect(MEMORY);
    }
}

const MEMORY: &str = "memory takes all bytes";

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("a message is shorter than 4 GiB")
}

/// An object with null for every attribute that was not sent.
fn completed(object: Value, shape: Shape<'_>) -> Value {
    let Value::Map(mut entries) = object else {
        return object;
    };
    for (name, _) in shape.attributes() {
        if !entries.contains_key(name) {
            entries.insert(name.to_owned(), Value::Null);
        }
    }
    Value::Map(entries)
}

impl Malformed {
    fn inside(mut self, step: Step) -> Self {
        self.path.0.insert(0, step);
        self
    }
}

fn malformed(why: String) -> Malformed {
    let path = Path::default();
    Malformed { path, why }
}

fn unexpected(wanted: &str, found: Marker) -> Malformed {
    malformed(format!("expected {wanted}, found {found:?}"))
}

#[cfg(test)]
mod tests;
