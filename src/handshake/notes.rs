//! What the callbacks of one connection's TLS handshake saw.
//!
//! rustls shares one configuration, and thus one verifier and one key, between connections, and resumes a
//! session only where they are the very same objects. So a callback cannot own per-connection state; it
//! writes into the task's notes instead, which belong to the handshake that is being polled.

use super::intermediates::Sent;
use super::judge::Revocation;
use rustls::pki_types::CertificateDer;
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;

/// The notes of one handshake.
#[derive(Debug, Default)]
pub(super) struct HandshakeNotes {
    /// The leaf's key signed: a full handshake in which the client gets to see the leaf.
    pub(super) leaf_shown: bool,
    /// The origin sent a CertificateRequest.
    pub(super) client_certificate_asked: bool,
    /// The origin's certificate that does not verify, and why.
    pub(super) rejected: Option<(CertificateDer<'static>, String)>,
    /// What is known of its revocation.
    pub(super) revocation: Option<Revocation>,
    /// A chain without a known issuer is completed, and judged, after the handshake.
    pub(super) may_complete: bool,
    /// Such a chain: nothing has been verified yet.
    pub(super) incomplete: Option<Sent>,
}

tokio::task_local! {
    static NOTES: RefCell<HandshakeNotes>;
}

/// Writes into the notes of the handshake that is being polled; without one, nothing happens.
pub(super) fn note(write: impl FnOnce(&mut HandshakeNotes)) {
    // Neither failure is possible from a callback inside `watch`.
    let _ = NOTES.try_with(|notes| {
        if let Ok(mut notes) = notes.try_borrow_mut() {
            write(&mut notes);
        }
    });
}

/// Asks the notes of the handshake that is being polled; `None` without one.
pub(super) fn noted<T>(ask: impl FnOnce(&HandshakeNotes) -> T) -> Option<T> {
    NOTES
        .try_with(|notes| notes.try_borrow().ok().map(|notes| ask(&notes)))
        .ok()
        .flatten()
}

/// Runs a handshake and returns what its callbacks noted.
pub(super) async fn watch<F: Future>(handshake: F) -> (F::Output, HandshakeNotes) {
    watch_with(HandshakeNotes::default(), handshake).await
}

/// The same, with what its callbacks are to know.
pub(super) async fn watch_with<F: Future>(
    notes: HandshakeNotes,
    handshake: F,
) -> (F::Output, HandshakeNotes) {
    let mut watched = pin!(NOTES.scope(RefCell::new(notes), handshake));
    let output = watched.as_mut().await;
    let notes = watched.take_value().map(RefCell::into_inner).unwrap_or_default();
    (output, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notes_belong_to_one_handshake() {
        let one = watch(async {
            note(|notes| notes.leaf_shown = true);
            tokio::task::yield_now().await;
        });
        let other = watch(async {
            tokio::task::yield_now().await;
            note(|notes| notes.client_certificate_asked = true);
        });
        let ((_, one), (_, other)) = tokio::join!(one, other);
        assert!(one.leaf_shown && !one.client_certificate_asked);
        assert!(!other.leaf_shown && other.client_certificate_asked);
        note(|_| panic!("no handshake is being polled"));
    }
}
