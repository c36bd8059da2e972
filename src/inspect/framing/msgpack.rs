//! A MessagePack value as the JSON that says the same, and its strings, byte strings and numbers with their places.

use super::decoded::{FramedValue, Written};
use rmp::Marker;
use rmp::decode::{Bytes, RmpRead, read_marker};
use serde_json::{Map, Number, Value};

/// How deep values may lie in each other: as deep as `serde_json` reads JSON.
const DEPTH: usize = 128;

pub(super) struct Reader<'a> {
    data: &'a [u8],
    /// What it has read.
    pub(super) at: usize,
    pub(super) pieces: Vec<FramedValue>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            pieces: Vec::new(),
        }
    }

    /// Reads one value. Byte strings that are no UTF-8, and extension types, are null in JSON.
    pub(super) fn value(&mut self) -> Option<Value> {
        self.nested(DEPTH)
    }

    fn nested(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let begin = self.at;
        let marker = self.read(|bytes| read_marker(bytes).ok())?;
        match marker {
            Marker::Null => Some(Value::Null),
            Marker::True => Some(true.into()),
            Marker::False => Some(false.into()),
            Marker::FixPos(value) => self.number(begin, value.into()),
            Marker::FixNeg(value) => self.number(begin, value.into()),
            Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => {
                let value = self.unsigned(marker)?;
                self.number(begin, value.into())
            }
            Marker::I8 => {
                let value = i8::from_be_bytes(self.array()?);
                self.number(begin, value.into())
            }
            Marker::I16 => {
                let value = i16::from_be_bytes(self.array()?);
                self.number(begin, value.into())
            }
            Marker::I32 => {
                let value = i32::from_be_bytes(self.array()?);
                self.number(begin, value.into())
            }
            Marker::I64 => {
                let value = i64::from_be_bytes(self.array()?);
                self.number(begin, value.into())
            }
            Marker::F32 => {
                let value = f32::from_be_bytes(self.array()?);
                self.float(begin, value.into())
            }
            Marker::F64 => {
                let value = f64::from_be_bytes(self.array()?);
                self.float(begin, value)
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let size = self.length(marker)?;
                self.string(begin, size, Written::PackedText)
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let size = self.length(marker)?;
                self.string(begin, size, Written::PackedBytes)
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                let items = (0..self.length(marker)?).map(|_| self.nested(depth));
                items.collect::<Option<Vec<_>>>().map(Value::Array)
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                let mut members = Map::new();
                for _ in 0..self.length(marker)? {
                    let name = match self.nested(depth)? {
                        Value::String(name) => name,
                        other => other.to_string(),
                    };
                    members.insert(name, self.nested(depth)?);
                }
                Some(Value::Object(members))
            }
            Marker::FixExt1 | Marker::FixExt2 | Marker::FixExt4 | Marker::FixExt8 | Marker::FixExt16 => {
                let size = self.length(marker)?;
                self.skip(size + 1)
            }
            Marker::Ext8 | Marker::Ext16 | Marker::Ext32 => {
                let size = self.length(marker)?;
                self.skip(size.checked_add(1)?)
            }
            Marker::Reserved => None,
        }
    }

    /// How many elements an array has, including the marker before it.
    pub(super) fn array_size(&mut self) -> Option<usize> {
        let marker = self.read(|bytes| read_marker(bytes).ok())?;
        match marker {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => self.length(marker),
            _ => None,
        }
    }

    fn read<T>(&mut self, read: impl FnOnce(&mut Bytes<'a>) -> Option<T>) -> Option<T> {
        let mut bytes = Bytes::new(self.data.get(self.at..)?);
        let value = read(&mut bytes)?;
        self.at = self.data.len() - bytes.remaining_slice().len();
        Some(value)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut array = [0; N];
        self.read(|bytes| bytes.read_exact_buf(&mut array).ok())?;
        Some(array)
    }

    fn unsigned(&mut self, marker: Marker) -> Option<u64> {
        match marker {
            Marker::U8 => self.array().map(|[byte]| byte.into()),
            Marker::U16 => self.array().map(|bytes| u16::from_be_bytes(bytes).into()),
            Marker::U32 => self.array().map(|bytes| u32::from_be_bytes(bytes).into()),
            _ => self.array().map(u64::from_be_bytes),
        }
    }

    /// What a marker, or the number behind it, says of a size.
    fn length(&mut self, marker: Marker) -> Option<usize> {
        let number = match marker {
            Marker::FixStr(size) | Marker::FixArray(size) | Marker::FixMap(size) => size.into(),
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Str8 | Marker::Bin8 | Marker::Ext8 => self.unsigned(Marker::U8)?,
            Marker::Str16 | Marker::Bin16 | Marker::Ext16 | Marker::Array16 | Marker::Map16 => {
                self.unsigned(Marker::U16)?
            }
            _ => self.unsigned(Marker::U32)?,
        };
        usize::try_from(number).ok()
    }

    fn skip(&mut self, size: usize) -> Option<Value> {
        self.data.get(self.at..)?.get(..size)?;
        self.at += size;
        Some(Value::Null)
    }

    fn string(&mut self, begin: usize, size: usize, written: Written) -> Option<Value> {
        let bytes = self.data.get(self.at..)?.get(..size)?;
        self.at += size;
        self.pieces.push(FramedValue {
            at: Some(begin..self.at),
            text: bytes.to_vec(),
            written,
        });
        Some(match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => Value::Null,
        })
    }

    fn float(&mut self, begin: usize, value: f64) -> Option<Value> {
        match Number::from_f64(value) {
            Some(number) => self.number(begin, number),
            // JSON has neither infinities nor NaN.
            None => Some(Value::Null),
        }
    }

    fn number(&mut self, begin: usize, number: Number) -> Option<Value> {
        self.pieces.push(FramedValue {
            at: Some(begin..self.at),
            text: number.to_string().into_bytes(),
            written: Written::PackedText,
        });
        Some(Value::Number(number))
    }
}
