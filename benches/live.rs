//! What those who watch cost: a request that is stated while somebody sees everything, and while nobody looks; and a message
//! that goes through a relay, whose counters anybody may look at while it is open.

use crate::filter::frame;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsbump::accept::{Prefixed, Socket, Who};
use wsbump::drain::RelayDrain;
use wsbump::http::{RequestDone, RequestId};
use wsbump::live::{LiveFilter, LiveTopic, Subscription};
use wsbump::relay::{WebSocket, WebSocketLegs, WebSocketProgress, websocket};
use wsbump::report::{AccessLog, Report, ReportConfig};
use wsbump::tls::Transport;
use wsbump::wire::frame::Direction;

/// A report that writes no log.
pub(crate) fn report() -> Arc<Report> {
    let config = ReportConfig {
        access: AccessLog::Off,
        ..ReportConfig::default()
    };
    Report::new(config).expect("a report without a log file")
}

/// Somebody who wants to see all that there is.
pub(crate) fn watcher(report: &Report) -> Subscription {
    let filter = LiveFilter {
        topics: LiveTopic::ALL.iter().copied().collect(),
        ..LiveFilter::default()
    };
    report.live().subscribe(filter).expect("a place to watch from")
}

/// A GET that went well.
pub(crate) fn request() -> RequestDone {
    RequestDone {
        id: RequestId::new(),
        who: Who {
            connection: 7,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user: None,
        },
        method: http::Method::GET,
        version: http::Version::HTTP_11,
        url: "https://www.example.com/search".to_owned(),
        status: Some(200),
        time_to_head: Duration::from_millis(30),
        time_total: Duration::from_millis(40),
        request_bytes: 0,
        response_bytes: 1024,
        error: None,
        detail: None,
        rule: None,
        malformed: None,
        headers: Vec::new(),
    }
}

/// Has so many texts of 64 bytes relayed, one after the other, and says when it begins and when it has ended.
pub(crate) fn relayed(report: &Report, times: u32, counted: impl Fn(u32, &mut dyn FnMut())) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let leg = || {
        let (far, near) = tokio::io::duplex(1 << 12);
        (far, Transport::plain(Prefixed::from(Socket::inner(near))))
    };
    let ((mut client, from_client), (mut origin, to_origin)) = (leg(), leg());
    let settings = WebSocket {
        allowed_rsv: 0,
        idle: Duration::from_secs(3600),
        mask: [0; 4],
        inspect: None,
        tallies: Arc::default(),
    };
    let (drain, mut totals) = (RelayDrain::new(), None);
    let progress = WebSocketProgress {
        every: None,
        tell: &|_| {},
    };
    let sent = frame(Direction::ToOrigin, false, &[b'x'; 64]);
    let mut got = vec![0; sent.len()];
    let mut legs = WebSocketLegs::new(from_client, to_origin);
    let mut relay = Box::pin(websocket(
        &mut legs,
        settings,
        &drain,
        report,
        progress,
        &mut totals,
    ));
    let mut one = || {
        runtime.block_on(async {
            client.write_all(&sent).await.expect("room");
            tokio::select! {
                biased;
                () = relay.as_mut() => {}
                read = origin.read_exact(&mut got) => assert!(read.is_ok_and(|size| size == sent.len())),
            }
        });
    };
    // The first one makes what the thread keeps.
    one();
    counted(times, &mut one);
    assert_eq!(got, sent);
}
