//! What waits for a verdict when a WebSocket ends.

use super::*;
use crate::inspect::rules::Rules;
use crate::inspect::testing::{Heard, facts};
use crate::inspect::{Action, AppFraming, Inspection, Inspector, LooksFor, Mode, Recorded, RuleSpec, Where};

/// Drops STOMP frames with a word in them, and makes those wait that are cut over messages.
fn dropping(word: &str) -> FilterRoute {
    let spec = RuleSpec {
        name: "drop".into(),
        mode: Mode::Enforce,
        action: Action::Drop,
        place: Where::default(),
        what: LooksFor {
            keywords: vec![word.into()],
            ..LooksFor::default()
        },
        decode: Some(AppFraming::Stomp),
    };
    let inspection = Inspection {
        rules: Arc::new(Rules::compile(vec![spec]).unwrap()),
        ..Inspection::default()
    };
    FilterRoute {
        inspector: Arc::new(Inspector::new(Arc::new(inspection), Arc::new(Heard::default()))),
        facts: facts(),
        deflate: None,
        is_opaque: false,
        fresh_mask: || [1; 4],
        epoch: Duration::ZERO,
        recorded: Recorded::default(),
    }
}

/// The beginning of a STOMP frame, which the relay has taken in: the ping behind it has come through.
async fn waiting(word: &str) -> (Rig, Vec<u8>) {
    let mut rig = rig_with(true, PATIENT, Some(dropping(word))).await;
    let begin = frame(Direction::ToOrigin, 0x81, b"SEND\n\na sec");
    let ping = frame(Direction::ToOrigin, 0x89, b"");
    rig.client.write_all(&[&begin[..], &ping].concat()).await.unwrap();
    assert_eq!(read_exactly(&mut rig.origin, ping.len()).await, ping);
    (rig, begin)
}

#[tokio::test]
async fn the_beginning_of_a_frame_is_judged_at_the_end_of_its_stream() {
    let (mut rig, begin) = waiting("secret").await;
    rig.client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut rig.origin).await, begin);
    rig.origin.shutdown().await.unwrap();
    rig.ended().await;

    let (mut rig, _) = waiting("sec").await;
    rig.client.shutdown().await.unwrap();
    let close = read_to_end(&mut rig.origin).await;
    assert_eq!([close[6] ^ 1, close[7] ^ 2], 1008u16.to_be_bytes());
    let close = read_to_end(&mut rig.client).await;
    assert_eq!(close[2..4], 1008u16.to_be_bytes());
    drop((rig.client, rig.origin));
    let totals = tokio::time::timeout(DEADLINE, rig.relay).await.unwrap().unwrap();
    assert_eq!(totals.end, End::ByRule);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_the_rest_of_a_frame() {
    let (mut rig, begin) = waiting("secret").await;
    rig.drain.end();
    assert_eq!(read_exactly(&mut rig.origin, begin.len()).await, begin);
    let close = read_exactly(&mut rig.origin, 8).await;
    assert_eq!([close[6] ^ 1, close[7] ^ 2], 1001u16.to_be_bytes());
    assert_eq!(
        read_exactly(&mut rig.client, 4).await[2..4],
        1001u16.to_be_bytes()
    );
}
