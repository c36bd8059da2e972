use super::super::opaque::{OpaqueEnd, join};
use super::super::splice_pipe::{KEPT, MOST};
use super::*;
use crate::accept::{Carried, Prefixed};
use crate::drain::RelayDrain;
use crate::relay::OpaqueTotals;
use proptest::prelude::*;
use socket2::SockRef;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENT: Duration = Duration::from_secs(600);
/// Long enough for anything here on a busy machine; whoever waits longer fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// The pipes of a process are counted: a test that needs one, or all, has them for itself.
fn the_pipes() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { timeout(DEADLINE, test).await.expect("took too long") })
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (near.unwrap(), far.unwrap().0)
}

struct Rig {
    client: TcpStream,
    origin: TcpStream,
    relay: JoinHandle<(OpaqueTotals, OpaqueEnd)>,
}

async fn rig(early: &[u8], idle: Duration) -> Rig {
    rig_with(early, idle, false).await
}

/// With small buffers the tunnel's sockets take few bytes at a time.
async fn rig_with(early: &[u8], idle: Duration, small_buffers: bool) -> Rig {
    let (client, from_client) = sockets().await;
    let (to_origin, origin) = sockets().await;
    if small_buffers {
        for socket in [&from_client, &to_origin] {
            SockRef::from(socket).set_send_buffer_size(8192).unwrap();
        }
    }
    let from_client = Prefixed::new(Bytes::copy_from_slice(early), from_client);
    let relay = tokio::spawn(async move {
        join(
            from_client,
            Prefixed::new(Bytes::new(), to_origin),
            idle,
            &RelayDrain::new(),
            &Carried::default(),
        )
        .await
    });
    Rig {
        client,
        origin,
        relay,
    }
}

/// Bytes in which every place differs from its neighbours.
fn pattern(n: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..n).map(|_| next()).collect()
}

async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    got
}

/// Turns a tunnel until `done`, with the ends of it in the hands of the test.
async fn turn(spliced: &mut Spliced, mut done: impl FnMut(&Spliced) -> bool) {
    std::future::poll_fn(|cx| {
        let ended = spliced.poll(cx).is_ready();
        match ended || done(spliced) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

fn owns_nothing(spliced: &Spliced) -> bool {
    spliced
        .halves
        .iter()
        .all(|half| half.pipe.is_none() && half.rest.is_empty())
}

#[test]
fn what_was_peeked_at_goes_first_and_half_closes_are_kept() {
    block_on(async {
        let mut rig = rig(b"peeked, ", PATIENT).await;
        rig.client.write_all(b"then read").await.unwrap();
        rig.client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut rig.origin).await, b"peeked, then read");

        let late = pattern(300_000, 3);
        let (sent, got) = tokio::join!(
            async {
                rig.origin.write_all(&late).await.unwrap();
                rig.origin.shutdown().await
            },
            read_all(&mut rig.client)
        );
        sent.unwrap();
        assert!(got == late, "changed on the way to the client");
        let (totals, end) = rig.relay.await.unwrap();
        assert_eq!(totals.bytes, [17, 300_000]);
        assert_eq!(end.label(), "ok");
    });
}

#[test]
fn a_client_that_was_peeked_at_and_has_gone_is_still_heard() {
    block_on(async {
        let mut rig = rig(b"all there is", PATIENT).await;
        rig.client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut rig.origin).await, b"all there is");
        rig.origin.shutdown().await.unwrap();
        assert!(read_all(&mut rig.client).await.is_empty());
        assert_eq!(rig.relay.await.unwrap().0.bytes, [12, 0]);
    });
}

#[test]
fn a_reset_is_the_fault_of_the_side_that_sent_it() {
    block_on(async {
        for side in [Side::Client, Side::Origin] {
            // In silence, and while bulk is on its way towards it.
            for bulk in [false, true] {
                let Rig {
                    client,
                    origin,
                    relay,
                } = rig(b"", PATIENT).await;
                let (resets, mut other) = match side {
                    Side::Client => (client, origin),
                    Side::Origin => (origin, client),
                };
                if bulk {
                    // Goes on until the tunnel's end cuts it off.
                    tokio::spawn(async move { while other.write_all(&[7; 100_000]).await.is_ok() {} });
                    let mut some = vec![0; 200_000];
                    let mut resets = resets;
                    resets.read_exact(&mut some).await.unwrap();
                    SockRef::from(&resets).set_linger(Some(Duration::ZERO)).unwrap();
                    drop(resets);
                } else {
                    SockRef::from(&resets).set_linger(Some(Duration::ZERO)).unwrap();
                    drop(resets);
                }
                match relay.await.unwrap().1 {
                    OpaqueEnd::Io(by, _) => assert_eq!(by, side, "bulk: {bulk}"),
                    end => panic!("ended with {end:?}, bulk: {bulk}"),
                }
            }
        }
    });
}

#[test]
fn a_silent_tunnel_ends_and_one_that_talks_does_not() {
    block_on(async {
        let mut rig = rig(b"", Duration::from_millis(60)).await;
        // Several idle times long, with a byte in each.
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(300) {
            rig.client.write_all(b"x").await.unwrap();
            rig.origin.read_u8().await.unwrap();
            assert!(!rig.relay.is_finished());
        }
        assert_eq!(rig.relay.await.unwrap().1.label(), "idle");
    });
}

#[test]
fn a_pipe_is_owned_while_bytes_are_in_it_and_not_longer() {
    let _pipes = the_pipes();
    block_on(async {
        let (mut client, from_client) = sockets().await;
        let (to_origin, mut origin) = sockets().await;
        let mut spliced = Spliced::new(Bytes::new(), from_client, to_origin);
        let sent = pattern(64 << 20, 5);
        let mut written = 0;
        // The origin reads nothing: the tunnel stops reading too, with one pipe in use.
        while let Ok(()) = timeout(Duration::from_millis(200), async {
            tokio::select! {
                n = client.write(&sent[written..]) => written += n.unwrap(),
                () = turn(&mut spliced, |_| false) => panic!("the tunnel ended"),
            }
        })
        .await
        {
            assert!(written < sent.len(), "all went out to nobody");
        }
        let [to_origin, to_client] = &spliced.halves;
        assert!(to_origin.pipe.as_ref().is_some_and(|pipe| pipe.inside() > 0));
        assert!(to_client.pipe.is_none());
        let held = spliced.halves[0].unsent();
        assert!(held <= 16 * 64 * 1024, "{held} bytes inside");

        let mut got = vec![0; written];
        tokio::select! {
            read = origin.read_exact(&mut got) => { read.unwrap(); }
            () = turn(&mut spliced, |_| false) => panic!("the tunnel ended"),
        }
        assert!(got == sent[..written]);
        // Whatever is still to be learned from the sockets, nothing is left to carry.
        turn(&mut spliced, owns_nothing).await;
        assert_eq!(spliced.bytes(), [written as u64, 0]);
    });
}

#[test]
fn there_are_never_too_many_pipes_and_bulk_passes_without_one() {
    let _pipes = the_pipes();
    let mut pipes: Vec<Pipe> = std::iter::from_fn(Pipe::take).collect();
    assert!(pipes.len() > MOST - 64, "{}", pipes.len());
    assert!(pipes.len() <= MOST);

    // Bulk passes without pipes, only slower.
    block_on(async {
        let mut rig = rig(b"", PATIENT).await;
        let sent = pattern(500_000, 9);
        let expected = sent.clone();
        let mut client = rig.client;
        let writer = tokio::spawn(async move {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
            client
        });
        assert!(read_all(&mut rig.origin).await == expected);
        drop(rig.origin);
        drop(writer.await.unwrap());
        assert_eq!(rig.relay.await.unwrap().0.bytes, [500_000, 0]);
    });

    for pipe in pipes.drain(..) {
        pipe.give_back();
    }
    let again: Vec<Pipe> = std::iter::from_fn(Pipe::take).collect();
    assert!(again.len() > MOST - 64, "a closed pipe's place is free again");
}

#[test]
fn a_pipe_with_bytes_inside_is_never_kept() {
    let _pipes = the_pipes();
    block_on(async {
        let (mut near, far) = sockets().await;
        near.write_all(b"belongs to one tunnel").await.unwrap();
        far.readable().await.unwrap();
        let mut pipe = Pipe::take().unwrap();
        assert_eq!(pipe.fill(&far).unwrap(), 21);
        pipe.give_back();
        // All that the pool can hold.
        for _ in 0..=KEPT {
            assert_eq!(Pipe::take().unwrap().inside(), 0);
        }
        let (other, mut end) = sockets().await;
        near.write_all(b"mine").await.unwrap();
        far.readable().await.unwrap();
        let mut pipe = Pipe::take().unwrap();
        assert_eq!(pipe.fill(&far).unwrap(), 4);
        assert_eq!(pipe.drain(&other).unwrap(), 4);
        drop(other);
        assert_eq!(read_all(&mut end).await, b"mine");
    });
}

/// A stream goes in pieces only so far, and then at once, so that a test of it ends.
const PIECES: usize = 200;

/// Writes in pieces, then ends the stream.
async fn write_in(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], cuts: &[usize]) {
    let mut rest = bytes;
    for cut in cuts.iter().cycle().take(PIECES).chain(&[usize::MAX]) {
        let (piece, later) = rest.split_at(rest.len().min(*cut));
        stream.write_all(piece).await.unwrap();
        rest = later;
        if rest.is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
}

/// Reads to the end, some at a time, letting others run in between.
async fn read_in(stream: &mut (impl AsyncRead + Unpin), at_a_time: &[usize], pause: usize) -> Vec<u8> {
    let buffer_size = 200_000;
    let (mut got, mut buffer) = (Vec::new(), vec![0; buffer_size]);
    for take in at_a_time
        .iter()
        .cycle()
        .take(PIECES)
        .chain(std::iter::repeat(&buffer_size))
    {
        let n = stream.read(&mut buffer[..*take]).await.unwrap();
        if n == 0 {
            break;
        }
        got.extend_from_slice(&buffer[..n]);
        for _ in 0..pause {
            tokio::task::yield_now().await;
        }
    }
    got
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![
        1usize..200,
        1000usize..20_000,
        16_000usize..17_000,
        60_000usize..200_000
    ];
    prop::collection::vec(size, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever is written in whatever pieces, and read as slowly as it may be, both ways at once.
    #[test]
    fn any_bytes_in_any_pieces_arrive_as_they_were(
        early in 0usize..3000,
        lengths in (0usize..500_000, 0usize..500_000),
        writes in (sizes(), sizes()),
        reads in (sizes(), sizes()),
        pauses in (0usize..6, 0usize..6),
        small_buffers in any::<bool>(),
    ) {
        block_on(async {
            let up = pattern(early + lengths.0, 1);
            let down = pattern(lengths.1, 2);
            let mut rig = rig_with(&up[..early], PATIENT, small_buffers).await;
            let (mut client_reads, mut client_writes) = rig.client.split();
            let (mut origin_reads, mut origin_writes) = rig.origin.split();
            let (at_client, at_origin, (), ()) = tokio::join!(
                read_in(&mut client_reads, &reads.0, pauses.0),
                read_in(&mut origin_reads, &reads.1, pauses.1),
                write_in(&mut client_writes, &up[early..], &writes.0),
                write_in(&mut origin_writes, &down, &writes.1),
            );
            assert!(at_origin == up, "changed on the way to the origin");
            assert!(at_client == down, "changed on the way to the client");
            let (totals, end) = rig.relay.await.unwrap();
            assert_eq!(end.label(), "ok");
            assert_eq!(totals.bytes, [up.len() as u64, down.len() as u64]);
        });
    }
}
