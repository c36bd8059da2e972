//! Why a message is refused, by name.

use http::StatusCode;
use std::fmt;

/// What makes a message ambiguous, or no message of HTTP/1.1 at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The first line is no request line (RFC 9112 section 3).
    RequestLine,
    /// It is no HTTP but a TLS ClientHello.
    Tls,
    /// The first line is no status line (RFC 9112 section 4).
    StatusLine,
    /// A version that is neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// A target with white space or control characters, or in none of its forms (RFC 9112 section 3.2).
    Target,
    /// The head is larger than it may be.
    HeadTooLarge,
    /// A line feed without a carriage return before it (RFC 9112 section 2.2).
    BareLineFeed,
    /// A carriage return without a line feed behind it (RFC 9112 section 2.2).
    BareCarriageReturn,
    /// A NUL (RFC 9110 section 5.5).
    Nul,
    /// White space between the start line and the first field (RFC 9112 section 2.2).
    LeadingSpace,
    /// White space between a name and its colon (RFC 9112 section 5.1).
    SpaceBeforeColon,
    /// A field line without a colon.
    NoColon,
    /// A field name that is empty, or has white space or control characters in it.
    FieldName,
    /// A field name that looks like the one of a length or a coding, and is not.
    DisguisedFraming,
    /// A `Content-Length` that is no number.
    LengthValue,
    /// Two lengths that differ (RFC 9112 section 6.3).
    DifferentLengths,
    /// A length beside a transfer coding (RFC 9112 section 6.1).
    LengthBesideCoding,
    /// A transfer coding that is not understood (RFC 9112 section 6.1).
    UnknownCoding,
    /// `chunked` more than once, not last, or with something around it (RFC 9112 section 6.1).
    CodingList,
    /// A transfer coding in a message of HTTP/1.0 (RFC 9112 section 6.1).
    CodingInHttp10,
    /// An expectation other than `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
    /// No Host (RFC 9112 section 3.2).
    NoHost,
    /// More than one Host (RFC 9112 section 3.2).
    RepeatedHost,
    /// A Host that is no host.
    HostValue,
    /// A chunk size that is no hexadecimal number, or too large a one (RFC 9112 section 7.1).
    ChunkSize,
    /// A chunk line that does not end with CRLF, or goes on without end.
    ChunkLine,
    /// A chunk extension with control characters in it.
    ChunkExtension,
    /// Chunk data that is longer or shorter than its size.
    ChunkData,
    /// A trailer section that is malformed or too large (RFC 9112 section 7.1.2).
    Trailers,
}

impl Malformed {
    /// Every kind, for metrics that start at zero.
    pub const ALL: [Self; 29] = [
        Self::RequestLine,
        Self::Tls,
        Self::StatusLine,
        Self::Version,
        Self::Target,
        Self::HeadTooLarge,
        Self::BareLineFeed,
        Self::BareCarriageReturn,
        Self::Nul,
        Self::LeadingSpace,
        Self::SpaceBeforeColon,
        Self::NoColon,
        Self::FieldName,
        Self::DisguisedFraming,
        Self::LengthValue,
        Self::DifferentLengths,
        Self::LengthBesideCoding,
        Self::UnknownCoding,
        Self::CodingList,
        Self::CodingInHttp10,
        Self::Expectation,
        Self::NoHost,
        Self::RepeatedHost,
        Self::HostValue,
        Self::ChunkSize,
        Self::ChunkLine,
        Self::ChunkExtension,
        Self::ChunkData,
        Self::Trailers,
    ];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RequestLine => "request_line",
            Self::Tls => "tls",
            Self::StatusLine => "status_line",
            Self::Version => "http_version",
            Self::Target => "request_target",
            Self::HeadTooLarge => "head_too_large",
            Self::BareLineFeed => "bare_line_feed",
            Self::BareCarriageReturn => "bare_carriage_return",
            Self::Nul => "nul",
            Self::LeadingSpace => "leading_space",
            Self::SpaceBeforeColon => "space_before_colon",
            Self::NoColon => "line_without_colon",
            Self::FieldName => "field_name",
            Self::DisguisedFraming => "disguised_framing",
            Self::LengthValue => "length_value",
            Self::DifferentLengths => "different_lengths",
            Self::LengthBesideCoding => "length_beside_coding",
            Self::UnknownCoding => "unknown_coding",
            Self::CodingList => "coding_list",
            Self::CodingInHttp10 => "coding_in_http_1_0",
            Self::Expectation => "expectation",
            Self::NoHost => "no_host",
            Self::RepeatedHost => "repeated_host",
            Self::HostValue => "host_value",
            Self::ChunkSize => "chunk_size",
            Self::ChunkLine => "chunk_line",
            Self::ChunkExtension => "chunk_extension",
            Self::ChunkData => "chunk_data",
            Self::Trailers => "trailers",
        }
    }

    /// The status that answers a request like that.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// In words, of the message that it is about.
    pub const fn text(self) -> &'static str {
        match self {
            Self::RequestLine => "a first line that is no request line of HTTP/1.1",
            Self::Tls => "the beginning of TLS where plain HTTP belongs",
            Self::StatusLine => "a first line that is no status line of HTTP/1.1",
            Self::Version => "a version other than HTTP/1.0 and HTTP/1.1",
            Self::Target => {
                "a target that is neither a path nor a URL, or has white space or control characters"
            }
            Self::HeadTooLarge => "a head that is larger than it may be",
            Self::BareLineFeed => "a line feed without a carriage return",
            Self::BareCarriageReturn => "a carriage return without a line feed",
            Self::Nul => "a NUL",
            Self::LeadingSpace => "white space before the first field",
            Self::SpaceBeforeColon => "white space between a field name and its colon",
            Self::NoColon => "a field line without a colon",
            Self::FieldName => "a field name that is empty, or has white space or control characters in it",
            Self::DisguisedFraming => "a field name that is nearly Content-Length or Transfer-Encoding",
            Self::LengthValue => "a Content-Length that is no number",
            Self::DifferentLengths => "two lengths that differ",
            Self::LengthBesideCoding => "a Content-Length beside Transfer-Encoding",
            Self::UnknownCoding => "a transfer coding other than chunked",
            Self::CodingList => "a Transfer-Encoding that is not chunked alone",
            Self::CodingInHttp10 => "a Transfer-Encoding in HTTP/1.0",
            Self::Expectation => "an Expect other than 100-continue",
            Self::NoHost => "no Host",
            Self::RepeatedHost => "more than one Host",
            Self::HostValue => "a Host that is no host",
            Self::ChunkSize => "a chunk size that is no hexadecimal number of up to 16 digits",
            Self::ChunkLine => "a chunk line that does not end with CRLF",
            Self::ChunkExtension => "a chunk extension with control characters",
            Self::ChunkData => "chunk data that is longer or shorter than its size",
            Self::Trailers => "trailers that are malformed or too large",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Malformed {}
