use super::*;
use proptest::prelude::*;

/// The fields that a block tells, as text; `-` is the dynamic table's.
fn told(block: &[u8]) -> Vec<(String, String)> {
    let text = |part: Option<Cow<'_, [u8]>>| {
        part.map_or("-".to_owned(), |part| String::from_utf8_lossy(&part).into_owned())
    };
    fields(block)
        .map(|field| field.unwrap())
        .map(|field| (text(field.name), text(field.value)))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn the_rfcs_own_examples_are_read() {
    // RFC 7541 appendix C.3.1 and C.4.1: the same request without and with the Huffman code.
    let request = pairs(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ]);
    assert_eq!(told(&bytes("828684410f7777772e6578616d706c652e636f6d")), request);
    assert_eq!(told(&bytes("828684418cf1e3c2e5f23a6ba0ab90f4ff")), request);
    // C.4.3, the third of its requests: what came before it is not known here.
    let third = told(&bytes("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"));
    assert_eq!(
        third,
        pairs(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            ("-", "-"),
            ("custom-key", "custom-value"),
        ])
    );
    // C.2.3: a field that is never indexed.
    let secret = told(&bytes("100870617373776f726406736563726574"));
    assert_eq!(secret, pairs(&[("password", "secret")]));
}

#[test]
fn every_byte_has_its_huffman_code() {
    let coded = "ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7fffffabffffffdfffffebf\
        ffffecfffffedfffffeefffffefffffff0ffffff1ffffff2fffffffbfffffcffffffd3fffffd7fffffdbfffffdffffffe3fffffe7fffffeb\
        fffffed4fe3f9ffaffcabf1febfafefe7fdfd2cbb00089969b71d79fb9f7fff20ffbff3ff50ddbd7f061c58f265cd9f469d5af66dddbf871\
        e5f9cff7ff7fffc3ff9ffe45fff4719242cb34e6e9d68a6a3d7dac426defe3cfaf7fffbfe7ffbffdffffffcfffe6ffff4bfff9ffffa3fffd\
        3ffff53fffd5ffffb3fffeb7fffdaffffb7ffff73fffeeffffdeffffebffffbfffffd9ffffdbfffebffffe0ffffeeffffc3ffff8bffff1ff\
        ffe4fffee7fffb1ffff97fffd9ffffcdffff9fffffbffffdafffeeffff4ffffb7fffee7fffe8ffffd3fffdeffffd5fffeeffffbdffffe1ff\
        fdfffff7fffff5ffffecffff07fff87fffe0ffff17fffedffff87ffff77fffeffffeaffff8bfffe3ffff93ffff87fffcbffff37ffff1ffff\
        f83ffffe1fffebfffe3ffff3fffff2ffffa3ffffd9fffff17ffffc7fffff27ffffdefffffbffffff2fffff8fffffb7fff97fff8fffffe6ff\
        fffc1fffff87ffffe7fffffc5ffffe5fffe4ffff2fffffd1fffff4ffffffefffffe3fffffc9fffff97fffb3ffffcffffb7fffcdffff4ffff\
        9ffffd1ffffcffffeaffffafffffddffffeffffff4fffff5fffffabffffa7ffffd7fffff9bffffecfffffb7fffff3fffffe8fffffd3fffff\
        abfffff5fffffff7ffffecfffffdbfffffbbfffff7ffffff0fffffbbf";
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(huffman::decode(&bytes(coded)), Some(all));
}

#[test]
fn what_is_no_huffman_code_is_refused() {
    // Eight ones and more behind the last symbol, zeros there, and the end itself.
    for coded in ["1fff", "18", "ffffffff", "fffffffc"] {
        assert_eq!(huffman::decode(&bytes(coded)), None, "{coded}");
    }
    assert_eq!(huffman::decode(&bytes("1f")), Some(b"a".to_vec()));
    assert_eq!(huffman::decode(&[]), Some(Vec::new()));
}

#[test]
fn what_is_no_hpack_ends_with_that() {
    for (block, before) in [
        // The index 0, and one beyond all that the table can hold.
        ("8280", 1),
        ("82ffff01", 1),
        // A string longer than its block, and integers without end.
        ("824105616263", 1),
        ("ffffffffffffffff", 0),
        ("3fffffffffffff", 0),
        // A table larger than allowed.
        ("3fe2ff03", 0),
        ("00", 0),
    ] {
        let bytes = bytes(block);
        let found: Vec<_> = fields(&bytes).collect();
        assert_eq!(found.len(), before + 1, "{block}: {found:?}");
        assert_eq!(found.last(), Some(&Err(BadBlock)), "{block}");
    }
    // A change of the table's size is no field.
    assert_eq!(told(&bytes("3fe11f82")), pairs(&[(":method", "GET")]));
    // The last entry that a table can have.
    assert_eq!(told(&[0xff, 189 - 127]), pairs(&[("-", "-")]));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(block in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(fields(&block).count() <= block.len());
    }

    #[test]
    fn literals_are_read_as_they_were_written(
        texts in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..6),
    ) {
        let mut block = Vec::new();
        for (name, value) in &texts {
            block.push(0);
            for text in [name, value] {
                match u8::try_from(text.len()) {
                    Ok(length) if length < 127 => block.push(length),
                    _ => block.extend([127, u8::try_from(text.len() - 127).unwrap() & 0x7f]),
                }
                block.extend(text);
            }
        }
        let found: Vec<_> = fields(&block).map(Result::unwrap).collect();
        prop_assert_eq!(found.len(), texts.len());
        for (field, (name, value)) in found.iter().zip(&texts) {
            prop_assert_eq!(field.name.as_deref(), Some(&name[..]));
            prop_assert_eq!(field.value.as_deref(), Some(&value[..]));
        }
    }
}
