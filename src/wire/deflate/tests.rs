use super::*;
use proptest::prelude::*;

/// A sender as RFC 7692 section 7.2.1 has it.
struct Sender {
    state: Compress,
    side: Side,
}

impl Sender {
    fn new(side: Side) -> Self {
        // What zlib cannot write with the smallest window is written with the next, in messages that fit.
        let bits = side.window_bits.max(9);
        Self {
            state: Compress::new_with_window_bits(Compression::default(), false, bits),
            side,
        }
    }

    fn message(&mut self, plain: &[u8], flush: FlushCompress) -> Vec<u8> {
        if !self.side.takeover {
            self.state.reset();
        }
        if plain.is_empty() {
            // zlib leaves out a second flush in a row; an empty stored block is what others send.
            return vec![0];
        }
        let mut out = Vec::with_capacity(plain.len() * 2 + 1024);
        self.state.compress_vec(plain, &mut out, flush).unwrap();
        assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    }
}

fn inflate(
    inflater: &mut Inflater,
    pool: &mut Inflaters,
    wire: &[u8],
    cut: usize,
) -> Result<Vec<u8>, InflateError> {
    let mut plain = Vec::new();
    let (first, second) = wire.split_at(cut.min(wire.len()));
    for piece in [first, second] {
        inflater.feed(pool, piece, 1 << 30, &mut |bytes| plain.extend_from_slice(bytes))?;
    }
    inflater.end(pool, 1 << 30, &mut |bytes| plain.extend_from_slice(bytes))?;
    Ok(plain)
}

fn side() -> impl Strategy<Value = Side> {
    (any::<bool>(), 9..=15_u8).prop_map(|(takeover, window_bits)| Side {
        takeover,
        window_bits,
    })
}

/// Words that repeat, so that messages refer to each other, and sometimes many.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "hello ",
        "world ",
        "{\"type\":",
        "message",
        "\u{0}\u{1}",
        "zzzz",
        "é",
    ]);
    (prop::collection::vec(word, 0..40), 1..40_usize)
        .prop_map(|(words, times)| words.concat().repeat(times).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn decodes_what_a_sender_encodes(
        side in side(),
        messages in prop::collection::vec((message(), any::<usize>(), any::<bool>(), any::<bool>()), 1..12),
    ) {
        let (mut sender, mut inflater, mut pool) = (Sender::new(side), Inflater::new(side), Inflaters::default());
        for (plain, cut, full, evict) in messages {
            let flush = if full { FlushCompress::Full } else { FlushCompress::Sync };
            let wire = sender.message(&plain, flush);
            if evict {
                pool = Inflaters::default();
            }
            prop_assert_eq!(inflate(&mut inflater, &mut pool, &wire, cut % (wire.len() + 1)).unwrap(), plain);
            prop_assert!(inflater.held() <= side.window());
            prop_assert!(side.takeover || inflater.held() == 0);
        }
    }

    #[test]
    fn many_directions_share_a_pool(
        turns in prop::collection::vec((0..100_usize, message()), 1..150),
    ) {
        let side = Side::default();
        let mut ends: Vec<_> = (0..100).map(|_| (Sender::new(side), Inflater::new(side))).collect();
        let mut pool = Inflaters::default();
        for (who, plain) in turns {
            let (sender, inflater) = &mut ends[who];
            let wire = sender.message(&plain, FlushCompress::Sync);
            prop_assert_eq!(inflate(inflater, &mut pool, &wire, 1).unwrap(), plain);
            prop_assert!(pool.spare.len() <= SPARE);
        }
    }

    /// Whatever the bytes are, a decoder that kept its state all along reads the same, or it is said that they are broken.
    #[test]
    fn no_message_changes_how_the_next_is_read(
        wires in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            (0..24_u16, "[a-c]{0,20}").prop_map(|(length, text)| {
                // A stored block that claims more or less than there is.
                [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), text.as_bytes()].concat()
            }),
            "[a-c]{0,20}".prop_map(|text| Sender::new(Side::default()).message(text.as_bytes(), FlushCompress::Full)),
        ], 1..6),
    ) {
        let (mut inflater, mut pool) = (Inflater::new(Side::default()), Inflaters::default());
        let mut far = Decompress::new(false);
        for wire in wires {
            let ours = inflate(&mut inflater, &mut pool, &wire, 1);
            let Ok(ours) = ours else { return Ok(()) };
            let mut theirs = Vec::with_capacity(1 << 16);
            let whole = [&wire[..], &TAIL].concat();
            match far.decompress_vec(&whole, &mut theirs, FlushDecompress::Sync) {
                Ok(Status::Ok) => prop_assert_eq!(ours, theirs),
                // What others do behind a last block differs.
                _ => return Ok(()),
            }
        }
    }

    #[test]
    fn what_is_compressed_is_decoded_by_others(side in side(), plains in prop::collection::vec(message(), 1..8)) {
        let mut deflaters = Deflaters::default();
        let mut far = Decompress::new_with_window_bits(false, side.window_bits);
        for plain in plains {
            let mut wire = b"head".to_vec();
            if !deflaters.compress(side, &plain, &mut wire) {
                prop_assert_eq!(&wire[..], b"head");
                continue;
            }
            prop_assert!(wire.len() - 4 < plain.len());
            wire.extend(TAIL);
            let mut got = Vec::with_capacity(plain.len() + 64);
            far.decompress_vec(&wire[4..], &mut got, FlushDecompress::Sync).unwrap();
            prop_assert_eq!(got, plain);
        }
    }

    #[test]
    fn noise_neither_panics_nor_grows(noise in prop::collection::vec(any::<u8>(), 0..300), limit in 0..2000_u64) {
        let (mut inflater, mut pool) = (Inflater::new(Side::default()), Inflaters::default());
        let mut produced = 0;
        let mut each = |bytes: &[u8]| produced += bytes.len() as u64;
        let first = inflater.feed(&mut pool, &noise, limit, &mut each);
        if let Err(error) = first {
            prop_assert_eq!(inflater.end(&mut pool, limit, &mut each), Err(error));
        }
        prop_assert!(produced <= limit);
    }
}

#[test]
fn the_examples_of_the_rfc() {
    // Section 7.2.3: "Hello", once, again with takeover, in two fragments, and as a stored block and a last block.
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let (mut inflater, mut pool) = (Inflater::new(Side::default()), Inflaters::default());
    assert_eq!(inflate(&mut inflater, &mut pool, &hello, 3).unwrap(), b"Hello");
    assert_eq!(inflate(&mut inflater, &mut pool, &again, 0).unwrap(), b"Hello");
    pool = Inflaters::default();
    assert_eq!(
        inflate(&mut inflater, &mut pool, &again, 2).unwrap(),
        b"Hello",
        "by the window alone"
    );
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let two = [
        0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
    ];
    for wire in [&stored[..], &last, &two, &hello] {
        for cut in 0..=wire.len() {
            assert_eq!(inflate(&mut inflater, &mut pool, wire, cut).unwrap(), b"Hello");
        }
    }
}

#[test]
fn a_bomb_costs_its_limit() {
    let mut sender = Sender::new(Side::default());
    let wire = sender.message(&vec![0; 50 << 20], FlushCompress::Sync);
    assert!(wire.len() < 100_000);
    for limit in [0, 1, 1000, 1 << 20] {
        let (mut inflater, mut pool) = (Inflater::new(Side::default()), Inflaters::default());
        let mut produced = 0;
        let done = inflater.feed(&mut pool, &wire, limit, &mut |bytes| {
            produced += bytes.len() as u64
        });
        assert_eq!(done, Err(InflateError::Limit));
        assert!(produced <= limit);
        assert_eq!(inflater.held(), 0);
    }
}

#[test]
fn a_message_that_ends_inside_a_block_is_broken() {
    // A stored block of 23 bytes, of which 4 and the tail's 4 have come: a receiver takes the next message for the rest.
    let wire = [&[0, 23, 0, 232, 255][..], b"half"].concat();
    let (mut inflater, mut pool) = (Inflater::new(Side::default()), Inflaters::default());
    assert_eq!(
        inflate(&mut inflater, &mut pool, &wire, 2),
        Err(InflateError::Corrupt)
    );
}

#[test]
fn the_smallest_window_is_read_and_not_written() {
    let side = Side {
        takeover: true,
        window_bits: 8,
    };
    let (mut sender, mut inflater, mut pool) = (Sender::new(side), Inflater::new(side), Inflaters::default());
    for _ in 0..40 {
        let wire = sender.message(b"short words, short words", FlushCompress::Full);
        assert_eq!(
            inflate(&mut inflater, &mut pool, &wire, 2).unwrap(),
            b"short words, short words"
        );
        assert!(inflater.held() <= 256);
    }
    assert!(!Deflaters::default().compress(side, &[b'a'; 1000], &mut Vec::new()));
}
