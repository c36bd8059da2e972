use super::*;
use crate::error::Side;
use crate::inspect::filter::Stopped;
use crate::relay::Batch;
use crate::report::tests::sample;
use crate::wire::frame::{Direction, FrameCounts, Opcode};
use prometheus::TextEncoder;
use std::time::Duration;

fn batch(direction: Direction, inside: Duration) -> Batch {
    let mut batch = Batch {
        direction,
        passed: FrameCounts::default(),
        stopped: Stopped::default(),
        inside,
    };
    for size in [10, 20] {
        batch.passed.frame(Opcode::Text, size);
        batch.passed.message(size);
    }
    batch
}

fn meter() -> FrameMeter {
    FrameMeter::new(&Registry::new()).unwrap()
}

fn state(frames: &FrameMeter, batch: &Batch) {
    frames.state(&Event::Batch(batch));
}

fn text(frames: &FrameMeter) -> String {
    let registry = Registry::new();
    registry.register(Box::new(frames.clone())).unwrap();
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

const TEXT: &str = "wsbump_websocket_frames_total{direction=\"to_origin\",opcode=\"text\"}";

#[test]
fn every_number_of_a_batch_is_exported() {
    let frames = meter();
    let mut mixed = batch(Direction::ToClient, Duration::from_nanos(1_001));
    mixed.passed.frame(Opcode::Ping, 4);
    mixed.passed.message(100 << 20);
    mixed.stopped = Stopped {
        frames: [0, 3, 0, 0, 0, 0],
        changed: 1,
        dropped: 2,
        closed: 4,
    };
    state(&frames, &mixed);
    let text = text(&frames);
    let expected = [
        (
            "wsbump_websocket_frames_total{direction=\"to_client\",opcode=\"text\"}",
            2.0,
        ),
        (
            "wsbump_websocket_frames_total{direction=\"to_client\",opcode=\"ping\"}",
            1.0,
        ),
        (
            "wsbump_websocket_frames_total{direction=\"to_client\",opcode=\"binary\"}",
            0.0,
        ),
        (TEXT, 0.0),
        (
            "wsbump_websocket_payload_bytes_total{direction=\"to_client\",opcode=\"text\"}",
            30.0,
        ),
        (
            "wsbump_websocket_payload_bytes_total{direction=\"to_client\",opcode=\"ping\"}",
            4.0,
        ),
        (
            "wsbump_websocket_message_size_bytes_bucket{direction=\"to_client\",le=\"64\"}",
            2.0,
        ),
        (
            "wsbump_websocket_message_size_bytes_bucket{direction=\"to_client\",le=\"67108864\"}",
            2.0,
        ),
        (
            "wsbump_websocket_message_size_bytes_bucket{direction=\"to_client\",le=\"+Inf\"}",
            3.0,
        ),
        (
            "wsbump_websocket_message_size_bytes_sum{direction=\"to_client\"}",
            f64::from((100 << 20) + 30),
        ),
        (
            "wsbump_websocket_frames_stopped_total{direction=\"to_client\",opcode=\"text\"}",
            3.0,
        ),
        (
            "wsbump_websocket_messages_total{direction=\"to_client\",outcome=\"passed\"}",
            3.0,
        ),
        (
            "wsbump_websocket_messages_total{direction=\"to_client\",outcome=\"changed\"}",
            1.0,
        ),
        (
            "wsbump_websocket_messages_total{direction=\"to_client\",outcome=\"dropped\"}",
            2.0,
        ),
        (
            "wsbump_websocket_messages_total{direction=\"to_client\",outcome=\"closed\"}",
            4.0,
        ),
        (
            "wsbump_websocket_frame_inside_seconds_count{direction=\"to_client\"}",
            3.0,
        ),
        (
            "wsbump_websocket_frame_inside_seconds_count{direction=\"to_origin\"}",
            0.0,
        ),
    ];
    for (series, value) in expected {
        assert_eq!(sample(&text, series), value, "{series}");
    }
    let sum = sample(
        &text,
        "wsbump_websocket_frame_inside_seconds_sum{direction=\"to_client\"}",
    );
    assert!(
        (sum - 3.0 * 1.001e-6).abs() < 1e-12,
        "each frame of a batch was inside for that long: {sum}"
    );
}

#[test]
fn bounds_belong_to_the_bucket_below() {
    let frames = meter();
    for nanos in [0, 1_000, 1_001, 10_000_000_000, 10_000_000_001] {
        state(&frames, &batch(Direction::ToOrigin, Duration::from_nanos(nanos)));
    }
    let text = text(&frames);
    let below = |le: &str| {
        let series =
            format!("wsbump_websocket_frame_inside_seconds_bucket{{direction=\"to_origin\",le=\"{le}\"}}");
        sample(&text, &series)
    };
    let seen = ["0.000001", "0.000002", "0.1", "1", "10", "+Inf"].map(below);
    assert_eq!(seen, [4.0, 6.0, 6.0, 6.0, 8.0, 10.0]);
}

#[test]
fn round_trips_are_kept_by_side() {
    let frames = meter();
    frames.state(&Event::Pong(Side::Origin, Duration::from_millis(3)));
    frames.state(&Event::Pong(Side::Client, Duration::MAX));
    let text = text(&frames);
    let series = "wsbump_websocket_ping_round_trip_seconds";
    assert_eq!(
        sample(&text, &format!("{series}_bucket{{side=\"origin\",le=\"0.002\"}}")),
        0.0
    );
    assert_eq!(
        sample(&text, &format!("{series}_bucket{{side=\"origin\",le=\"0.005\"}}")),
        1.0
    );
    assert_eq!(
        sample(&text, &format!("{series}_bucket{{side=\"client\",le=\"10\"}}")),
        0.0
    );
    assert_eq!(sample(&text, &format!("{series}_count{{side=\"client\"}}")), 1.0);
}

#[test]
fn threads_that_count_at_once_lose_nothing() {
    let frames = meter();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    state(&frames, &batch(Direction::ToOrigin, Duration::from_micros(3)));
                }
            });
        }
    });
    assert_eq!(sample(&text(&frames), TEXT), 80_000.0);
}

#[test]
fn a_threads_end_loses_nothing_and_its_shard_serves_the_next() {
    let frames = meter();
    for _ in 0..20 {
        let frames = frames.clone();
        std::thread::spawn(move || state(&frames, &batch(Direction::ToOrigin, Duration::ZERO)))
            .join()
            .unwrap();
    }
    assert_eq!(sample(&text(&frames), TEXT), 40.0);
    // A joined thread has run its thread-locals' destructors.
    assert_eq!(frames.inner.shards.lock().unwrap().len(), 1);
}

#[test]
fn what_is_counted_while_a_thread_ends_is_not_lost() {
    struct Late(FrameMeter);
    impl Drop for Late {
        fn drop(&mut self) {
            state(&self.0, &batch(Direction::ToOrigin, Duration::ZERO));
        }
    }
    thread_local! {
        static FIRST: RefCell<Option<Late>> = const { RefCell::new(None) };
        static LAST: RefCell<Option<Late>> = const { RefCell::new(None) };
    }
    let frames = meter();
    let meter = frames.clone();
    // One of the two is destroyed after the meter's own thread-local, whichever way the platform goes.
    let thread = std::thread::spawn(move || {
        FIRST.with(|late| *late.borrow_mut() = Some(Late(meter.clone())));
        state(&meter, &batch(Direction::ToOrigin, Duration::ZERO));
        LAST.with(|late| *late.borrow_mut() = Some(Late(meter)));
    });
    thread.join().unwrap();
    assert_eq!(sample(&text(&frames), TEXT), 6.0);
}

#[test]
fn two_meters_in_one_thread_do_not_mix_and_a_dead_one_is_forgotten() {
    let (one, two) = (meter(), meter());
    state(&one, &batch(Direction::ToOrigin, Duration::ZERO));
    state(&two, &batch(Direction::ToOrigin, Duration::ZERO));
    state(&two, &batch(Direction::ToOrigin, Duration::ZERO));
    assert_eq!([&one, &two].map(|frames| sample(&text(frames), TEXT)), [2.0, 4.0]);
    drop(one);
    let three = meter();
    state(&three, &batch(Direction::ToOrigin, Duration::ZERO));
    assert_eq!(MINE.with(|mine| mine.borrow().len()), 2);
}
