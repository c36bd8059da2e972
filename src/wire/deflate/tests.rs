use super::pool::SPARE;
use super::*;
use flate2::{Decompress, FlushDecompress};
use proptest::prelude::*;

/// A sender as RFC 7692 section 7.2.1 has it.
struct Sender {
    state: Compress,
    side: DeflateSide,
}

impl Sender {
    fn new(side: DeflateSide) -> Self {
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

fn side() -> impl Strategy<Value = DeflateSide> {
    (any::<bool>(), 9..=15_u8).prop_map(|(takeover, window_bits)| DeflateSide {
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

/// Messages as senders make them, with last blocks and without, whole, cut, lengthened or with a byte changed.
fn any_wire() -> impl Strategy<Value = Vec<u8>> {
    let sent = || {
        (message(), 0..4_u8, prop::sample::select(vec![0, 1, 6, 9])).prop_map(|(plain, flush, level)| {
            let mut out = Vec::with_capacity(plain.len() * 2 + 1024);
            let mut state = Compress::new(Compression::new(level), false);
            let flush = match flush {
                0 => FlushCompress::Finish,
                1 => FlushCompress::Partial,
                2 => FlushCompress::Full,
                _ => FlushCompress::Sync,
            };
            state.compress_vec(&plain, &mut out, flush).unwrap();
            if out.ends_with(&TAIL) {
                out.truncate(out.len() - TAIL.len());
            }
            out
        })
    };
    let changed =
        (sent(), any::<prop::sample::Index>(), any::<u8>(), 0..4_u8).prop_map(|(mut wire, at, byte, how)| {
            match how {
                0 if !wire.is_empty() => wire.truncate(at.index(wire.len())),
                1 => wire.push(byte),
                2 if !wire.is_empty() => {
                    let at = at.index(wire.len());
                    wire[at] = byte;
                }
                _ => wire.push(0),
            }
            wire
        });
    // An unfinished block of fixed codes or a dynamic header, whose rest the tail may be, and the end of a stream.
    let short = prop::collection::vec(any::<u8>(), 0..12);
    prop_oneof![2 => sent(), 3 => changed, 2 => short, 1 => Just(vec![1]), 1 => Just(vec![0])]
}

/// Decodes with a state of its own, which is then spent.
fn decoded_and_spent(history: &[u8], wire: &[u8]) -> Result<Vec<u8>, InflateError> {
    let window = |plain: &[u8]| {
        let seen = [history, plain].concat();
        let mut state = Decompress::new(false);
        if !seen.is_empty() {
            state
                .set_dictionary(&seen[seen.len().saturating_sub(1 << 15)..])
                .unwrap();
        }
        state
    };
    let (mut state, mut plain) = (window(&[]), Vec::with_capacity(1 << 20));
    for part in [wire, &TAIL] {
        let mut rest = part;
        while !rest.is_empty() {
            let before = state.total_in();
            let status = state.decompress_vec(rest, &mut plain, FlushDecompress::Sync);
            rest = &rest[(state.total_in() - before) as usize..];
            match status {
                Ok(flate2::Status::StreamEnd) => state = window(&plain),
                Ok(_) => assert!(rest.is_empty() || state.total_in() > before),
                Err(_) => return Err(InflateError::Corrupt),
            }
        }
    }
    let (before_in, before_out) = (state.total_in(), state.total_out());
    let last = [1, 0, 0, 0xff, 0xff];
    let status = state.decompress(&last, &mut [0; 8], FlushDecompress::Sync);
    let between = matches!(status, Ok(flate2::Status::StreamEnd))
        && state.total_in() - before_in == last.len() as u64
        && state.total_out() == before_out;
    between.then_some(plain).ok_or(InflateError::Corrupt)
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
        let side = DeflateSide::default();
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
            "[a-c]{0,20}".prop_map(|text| Sender::new(DeflateSide::default()).message(text.as_bytes(), FlushCompress::Full)),
        ], 1..6),
    ) {
        let (mut inflater, mut pool) = (Inflater::new(DeflateSide::default()), Inflaters::default());
        let mut far = Decompress::new(false);
        for wire in wires {
            let ours = inflate(&mut inflater, &mut pool, &wire, 1);
            let Ok(ours) = ours else { return Ok(()) };
            let mut theirs = Vec::with_capacity(1 << 16);
            let whole = [&wire[..], &TAIL].concat();
            match far.decompress_vec(&whole, &mut theirs, FlushDecompress::Sync) {
                Ok(flate2::Status::Ok) => prop_assert_eq!(ours, theirs),
                // What others do behind a last block differs.
                _ => return Ok(()),
            }
        }
    }

    /// A state that was kept, one that was primed, and one that is spent on finding out whether the message ended
    /// between blocks: all say the same to any bytes.
    #[test]
    fn a_kept_state_reads_as_a_primed_one(
        wires in prop::collection::vec((any_wire(), any::<bool>()), 1..8),
    ) {
        let side = DeflateSide::default();
        let (mut kept, mut primed) = (Inflater::new(side), Inflater::new(side));
        let (mut pool, mut history) = (Inflaters::default(), Vec::new());
        for (wire, split) in wires {
            let cut = if split { wire.len() / 2 } else { 0 };
            let expected = decoded_and_spent(&history, &wire);
            prop_assert_eq!(inflate(&mut kept, &mut pool, &wire, cut), expected.clone());
            prop_assert_eq!(inflate(&mut primed, &mut Inflaters::default(), &wire, cut), expected.clone());
            let Ok(plain) = expected else { return Ok(()) };
            prop_assert_eq!(pool.spare.len(), 1);
            history.extend(plain);
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
        let (mut inflater, mut pool) = (Inflater::new(DeflateSide::default()), Inflaters::default());
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
    let (mut inflater, mut pool) = (Inflater::new(DeflateSide::default()), Inflaters::default());
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
    let mut sender = Sender::new(DeflateSide::default());
    let wire = sender.message(&vec![0; 50 << 20], FlushCompress::Sync);
    assert!(wire.len() < 100_000);
    for limit in [0, 1, 1000, 1 << 20] {
        let (mut inflater, mut pool) = (Inflater::new(DeflateSide::default()), Inflaters::default());
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
    let (mut inflater, mut pool) = (Inflater::new(DeflateSide::default()), Inflaters::default());
    assert_eq!(
        inflate(&mut inflater, &mut pool, &wire, 2),
        Err(InflateError::Corrupt)
    );
}

#[test]
fn the_smallest_window_is_read_and_not_written() {
    let side = DeflateSide {
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

/// A message of one last block that refers to `before`, with the byte that section 7.2.3.4 has behind it.
fn last_block(plain: &[u8], before: &[u8]) -> Vec<u8> {
    let mut state = Compress::new(Compression::default(), false);
    if !before.is_empty() {
        state.set_dictionary(before).unwrap();
    }
    let mut wire = Vec::with_capacity(1024);
    let done = state.compress_vec(plain, &mut wire, FlushCompress::Finish);
    assert!(matches!(done, Ok(flate2::Status::StreamEnd)));
    wire.push(0);
    wire
}

/// A message of common blocks that refers to `before`.
fn referring(plain: &[u8], before: &[u8]) -> Vec<u8> {
    let mut state = Compress::new(Compression::default(), false);
    state.set_dictionary(before).unwrap();
    let mut wire = Vec::with_capacity(1024);
    state.compress_vec(plain, &mut wire, FlushCompress::Sync).unwrap();
    wire.truncate(wire.len() - TAIL.len());
    wire
}

const PHRASE: &[u8] = b"the quick brown fox jumps over the lazy dog";

#[test]
fn a_last_block_ends_no_window() {
    let side = DeflateSide::default();
    let (mut inflater, mut pool) = (Inflater::new(side), Inflaters::default());
    let mut seen = Vec::new();
    // Each message refers to all of those before it, across last blocks and common ones.
    for round in 0..6_u8 {
        let plain = [PHRASE, &[b'0' + round]].concat();
        let wire = match round % 3 {
            1 => referring(&plain, &seen),
            _ => last_block(&plain, &seen),
        };
        assert!(round == 0 || wire.len() < 30, "it refers to what was before");
        for cut in 0..wire.len() {
            let mut fresh = Inflater::new(side);
            fresh.remember(&seen);
            assert_eq!(inflate(&mut fresh, &mut pool, &wire, cut).unwrap(), plain);
        }
        assert_eq!(inflate(&mut inflater, &mut pool, &wire, 3).unwrap(), plain);
        seen.extend_from_slice(&plain);
    }
}

#[test]
fn a_last_block_without_takeover_is_read_and_forgotten() {
    let side = DeflateSide {
        takeover: false,
        window_bits: 15,
    };
    let (mut inflater, mut pool) = (Inflater::new(side), Inflaters::default());
    for _ in 0..3 {
        let wire = last_block(PHRASE, &[]);
        assert_eq!(inflate(&mut inflater, &mut pool, &wire, 5).unwrap(), PHRASE);
    }
    let wire = referring(PHRASE, PHRASE);
    assert_eq!(
        inflate(&mut inflater, &mut pool, &wire, 5),
        Err(InflateError::Corrupt)
    );
}

#[test]
fn blocks_behind_a_last_one_in_the_same_message_are_read() {
    let (mut inflater, mut pool) = (Inflater::new(DeflateSide::default()), Inflaters::default());
    let mut first = last_block(PHRASE, &[]);
    first.pop();
    let wire = [first, referring(PHRASE, PHRASE)].concat();
    for cut in 0..wire.len() {
        let mut fresh = Inflater::new(DeflateSide::default());
        assert_eq!(
            inflate(&mut fresh, &mut pool, &wire, cut).unwrap(),
            PHRASE.repeat(2)
        );
    }
    assert_eq!(
        inflate(&mut inflater, &mut pool, &wire, 0).unwrap(),
        PHRASE.repeat(2)
    );
}

#[test]
fn a_last_block_without_the_byte_behind_it_is_broken() {
    // The tail that a receiver adds is then the head of a stored block, and a next message that begins with 00 would
    // be read as that block's 65,280 bytes by some receivers, and as a message of its own by others.
    for takeover in [true, false] {
        let side = DeflateSide {
            takeover,
            window_bits: 15,
        };
        let (mut inflater, mut pool) = (Inflater::new(side), Inflaters::default());
        let mut wire = last_block(PHRASE, &[]);
        wire.pop();
        assert_eq!(
            inflate(&mut inflater, &mut pool, &wire, 7),
            Err(InflateError::Corrupt)
        );
    }
}

proptest! {
    #[test]
    fn what_is_written_alone_can_stand_anywhere_in_a_stream(
        before in message(),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6000), 0..4),
        window_bits in 9..=15_u8,
    ) {
        let side = DeflateSide { takeover: true, window_bits };
        let (mut sender, mut inflater, mut pool) = (Sender::new(side), Inflater::new(side), Inflaters::default());
        let first = sender.message(&before, FlushCompress::Sync);
        prop_assert_eq!(inflate(&mut inflater, &mut pool, &first, 0).unwrap(), before);
        let whole = Alone::zlib(&pieces.concat()).unwrap();
        let mut read = Vec::with_capacity(30_000);
        let status = Decompress::new(true).decompress_vec(&whole, &mut read, FlushDecompress::Finish).unwrap();
        prop_assert_eq!((status, read), (flate2::Status::StreamEnd, pieces.concat()));
        let mut alone = Alone::new(window_bits, b"head".to_vec());
        pieces.iter().for_each(|piece| alone.feed(piece));
        let written = alone.end().unwrap();
        let wire = written.strip_prefix(b"head").unwrap().strip_suffix(&TAIL).unwrap();
        prop_assert_eq!(inflate(&mut inflater, &mut pool, wire, 0).unwrap(), pieces.concat());
    }
}
