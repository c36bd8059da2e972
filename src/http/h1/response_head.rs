//! A response's head as the client gets it, and the one that makes its connection something else.

use crate::error::Side;
use crate::http::error::HttpError;
use crate::http::exchange::check::Wanted;
use crate::http::exchange::destination::Destination;
use crate::http::exchange::hop;
use crate::http::exchange::judge;
use crate::http::exchange::road;
use crate::http::exchange::served::ServeError;
use crate::http::h1::after::{After, end_with};
use crate::http::h1::client::Client;
use crate::http::h1::prepared::Prepared;
use crate::wire::headers::Headers;
use crate::wire::http1::ResponseHead;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{StatusCode, Version};

/// The response's head as the client gets it.
pub(super) fn finish_head(head: &mut ResponseHead, prepared: &Prepared, keeps: bool, chunked: bool) {
    let fields = &mut head.fields;
    // A 426 without Upgrade would not say what it requires (RFC 9110 section 15.5.22).
    let wanted = fields
        .first(&UPGRADE)
        .filter(|_| head.status == StatusCode::UPGRADE_REQUIRED)
        .map(<[u8]>::to_vec);
    hop::strip(fields, wanted.as_deref());
    // Only now: an origin must not list in Connection what the operator sets.
    judge::edit(&prepared.treatment.response_headers, fields);
    if !chunked {
        fields.remove(&TRANSFER_ENCODING);
    }
    match (keeps, wanted.is_some()) {
        (false, true) => fields.set(&CONNECTION, b"Upgrade, close"),
        (false, false) => fields.set(&CONNECTION, b"close"),
        (true, _) if prepared.head.version < Version::HTTP_11 => {
            fields.set(&CONNECTION, b"keep-alive");
        }
        (true, _) => {}
    }
    if prepared.treatment.via {
        hop::add_via(fields, head.version);
    }
}

/// The origin agrees to become something else.
pub(super) async fn switch(
    client: &mut Client<'_>,
    to: &Destination<'_>,
    mut prepared: Box<Prepared>,
    mut head: ResponseHead,
) -> After {
    let wanted = std::mem::replace(&mut prepared.wanted, Wanted::Nothing);
    let kind = match road::agree(to, wanted, &prepared.treatment, &head.fields, &prepared.record) {
        Ok(kind) => kind,
        Err(problem) => return end_with(client, prepared, &problem).await,
    };
    let token = head.fields.first(&UPGRADE).unwrap_or(b"websocket").to_vec();
    hop::strip(&mut head.fields, Some(&token));
    head.fields.remove(&TRANSFER_ENCODING);
    head.fields.remove(&CONTENT_LENGTH);
    client.context.hide(&mut head.fields);
    judge::edit(&prepared.treatment.response_headers, &mut head.fields);
    if prepared.treatment.via {
        hop::add_via(&mut head.fields, head.version);
    }
    let mut out = Vec::with_capacity(512);
    head.write(Version::HTTP_11, &mut out);
    client.conn.queue(&out);
    if let Err(error) = client.flush().await {
        prepared.record.failed(HttpError::Aborted(Side::Client));
        return After::Failed(ServeError::reading(&error));
    }
    prepared.record.head(StatusCode::SWITCHING_PROTOCOLS);
    prepared.record.complete();
    After::Upgraded(kind)
}
