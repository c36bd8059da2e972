//! Tokens that a real domain made, and keytabs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(in crate::admit) mod making;

/// tests/peers/ad_tickets.py captured this.
pub(in crate::admit) struct Captured {
    pub(in crate::admit) keytab: Vec<u8>,
    tokens: serde_json::Map<String, serde_json::Value>,
    pub(in crate::admit) time: SystemTime,
}

impl Captured {
    pub(in crate::admit) fn read() -> Self {
        let text = include_str!("../../../tests/tickets/corp.json");
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        Self {
            keytab: STANDARD.decode(json["keytab"].as_str().unwrap()).unwrap(),
            tokens: json["tokens"].as_object().unwrap().clone(),
            time: UNIX_EPOCH + Duration::from_secs(json["time"].as_u64().unwrap()),
        }
    }

    pub(in crate::admit) fn token(&self, name: &str) -> Vec<u8> {
        STANDARD.decode(self.tokens[name].as_str().unwrap()).unwrap()
    }
}

/// An entry as programs write it; `full` is the number behind the key.
pub(in crate::admit) fn entry(
    name: &[&str],
    short: u8,
    etype: u16,
    key: &[u8],
    full: Option<u32>,
) -> Vec<u8> {
    let counted = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let mut out = (name.len() as u16).to_be_bytes().to_vec();
    out.extend(counted(b"CORP.EXAMPLE"));
    for part in name {
        out.extend(counted(part.as_bytes()));
    }
    out.extend([0, 0, 0, 1, 0, 0, 0, 0, short]);
    out.extend(etype.to_be_bytes());
    out.extend(counted(key));
    out.extend(full.iter().flat_map(|full| full.to_be_bytes()));
    [&(out.len() as u32).to_be_bytes(), &out[..]].concat()
}

pub(in crate::admit) fn file(entries: &[Vec<u8>]) -> Vec<u8> {
    [&[5, 2][..], &entries.concat()].concat()
}
