//! Files by their first bytes.

use super::super::FileType;

/// What more content could tell of its kind is in so many bytes at its beginning: an ISO image says it last.
pub(super) const ENOUGH: usize = 0x8006;

/// What the content begins as; archives of office documents are both.
pub(super) fn is(kind: FileType, data: &[u8]) -> bool {
    let starts = |magics: &[&[u8]]| magics.iter().any(|magic| data.starts_with(magic));
    let at = |place: usize, magic: &[u8]| data.get(place..).is_some_and(|rest| rest.starts_with(magic));
    let zip = starts(&[b"PK\x03\x04", b"PK\x05\x06"]);
    match kind {
        FileType::Executable => {
            windows_program(data)
                || java_class(data)
                || starts(&[
                    b"\x7fELF",
                    b"\xfe\xed\xfa\xce",
                    b"\xfe\xed\xfa\xcf",
                    b"\xce\xfa\xed\xfe",
                    b"\xcf\xfa\xed\xfe",
                    b"\0asm",
                    b"L\0\0\0\x01\x14\x02\0",
                    b"#!/",
                    b"#! /",
                ])
        }
        FileType::Archive => {
            zip || at(257, b"ustar")
                || at(0x8001, b"CD001")
                || starts(&[
                    b"Rar!\x1a\x07",
                    b"7z\xbc\xaf\x27\x1c",
                    b"\x1f\x8b\x08",
                    b"\xfd7zXZ\0",
                    b"MSCF\0\0\0\0",
                ])
                || (starts(&[b"BZh"]) && at(4, b"1AY&SY"))
        }
        FileType::Document => {
            starts(&[b"%PDF-", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"]) || (zip && office_entry(data))
        }
        FileType::Image => {
            starts(&[
                b"\x89PNG\r\n\x1a\n",
                b"\xff\xd8\xff",
                b"GIF87a",
                b"GIF89a",
                b"II*\0",
                b"MM\0*",
            ]) || (starts(&[b"RIFF"]) && at(8, b"WEBP"))
                || (starts(&[b"BM"]) && at(6, &[0; 4]) && data.len() > 26)
        }
    }
}

/// `MZ`, and where offset 60 points, `PE`; a cut program may not reach so far, and text rarely begins with MZ and has
/// a NUL in its first 64 bytes.
fn windows_program(data: &[u8]) -> bool {
    let Some(offset) = data.get(60..64).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()) else {
        return false;
    };
    let offset = u32::from_le_bytes(offset) as usize;
    data.starts_with(b"MZ")
        && match data.get(offset..offset.saturating_add(2)) {
            Some(magic) => matches!(magic, b"PE" | b"NE" | b"LE" | b"LX") || data[..64].contains(&0),
            None => data[..64].contains(&0),
        }
}

/// A fat Mach-O file has the same magic, and a count of architectures where a class has its version.
fn java_class(data: &[u8]) -> bool {
    data.starts_with(b"\xca\xfe\xba\xbe") && data.len() >= 8
}

/// The first entry of a ZIP as office programs write it.
fn office_entry(data: &[u8]) -> bool {
    let Some(name) = data.get(30..) else {
        return false;
    };
    [
        &b"[Content_Types].xml"[..],
        b"_rels/",
        b"word/",
        b"xl/",
        b"ppt/",
        b"docProps/",
    ]
    .iter()
    .any(|start| name.starts_with(start))
        || name.starts_with(b"mimetypeapplication/vnd.oasis.opendocument")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let mut pe = vec![0; 200];
        pe[..2].copy_from_slice(b"MZ");
        pe[60] = 128;
        pe[128..130].copy_from_slice(b"PE");
        let docx = [&b"PK\x03\x04"[..], &[0; 26], b"[Content_Types].xml"].concat();
        assert!(is(FileType::Executable, &pe));
        assert!(is(FileType::Executable, b"\x7fELF\x02"));
        assert!(is(FileType::Document, &docx) && is(FileType::Archive, &docx));
        assert!(is(FileType::Image, b"\xff\xd8\xff\xe0"));
        assert!(is(FileType::Document, b"%PDF-1.7"));
        for text in [
            &b"MZ is a word"[..],
            b"",
            b"GIF",
            b"#hashtag",
            b"BMW drives",
            b"BZhello",
        ] {
            for kind in [
                FileType::Executable,
                FileType::Archive,
                FileType::Document,
                FileType::Image,
            ] {
                assert!(!is(kind, text), "{text:?}");
            }
        }
    }
}
