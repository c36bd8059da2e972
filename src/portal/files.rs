//! What can be downloaded: the CA in the forms that systems want, and the bundle with the public roots.

use super::page::escape;
use crate::handshake::certificate_pem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;
use time::OffsetDateTime;

/// Which roots stand in the bundle beside the CA: those that this proxy verifies origins by.
#[derive(Debug, Clone, Default)]
pub struct PublicRoots {
    /// Those of the operating system.
    pub system: bool,
    /// The operator's own.
    pub extra: Vec<CertificateDer<'static>>,
}

/// The file with the system's roots, if one is known.
fn system_file() -> Option<PathBuf> {
    std::env::var_os("SSL_CERT_FILE")
        .map(PathBuf::from)
        .or_else(|| openssl_probe::probe().cert_file)
}

/// The CA and the public roots, as PEM; says how many roots there are, and how old they are. Reads files.
pub(super) fn bundle(ca_pem: &str, roots: &PublicRoots) -> String {
    let mut certificates = Vec::new();
    let mut changed = None;
    if roots.system {
        certificates = rustls_native_certs::load_native_certs().certs;
        let modified = |file| std::fs::metadata(file).and_then(|file| file.modified()).ok();
        changed = system_file().and_then(modified);
    }
    certificates.extend(roots.extra.iter().cloned());
    let mut text = String::with_capacity(certificates.len() * 2048 + 4096);
    // Writing to a String cannot fail. RFC 7468 section 5.2 allows text before a certificate.
    let _ = writeln!(
        text,
        "# The CA of this proxy, and the {} public roots that it verifies servers by{}.",
        certificates.len(),
        changed.map_or_else(String::new, |changed| format!(", last changed {}", date(changed)))
    );
    text.push_str("# For programs whose setting takes the place of all roots. Public roots change: load it anew now and then.\n");
    text.push_str(ca_pem);
    for certificate in &certificates {
        text.push_str(&certificate_pem(certificate));
    }
    text
}

/// A day, as people read it.
pub(super) fn date(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    format!("{}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())
}

/// A configuration profile for Apple's systems with the CA as a root. It is the same for the same CA, so that a second one
/// replaces the first.
pub(super) fn mobileconfig(der: &[u8], subject: &str) -> String {
    let content = STANDARD.encode(der);
    let name = escape(subject);
    let (certificate, profile) = (uuid(b"certificate", der), uuid(b"profile", der));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadCertificateFileName</key>
			<string>wsbump-ca.crt</string>
			<key>PayloadContent</key>
			<data>{content}</data>
			<key>PayloadDisplayName</key>
			<string>{name}</string>
			<key>PayloadIdentifier</key>
			<string>wsbump.ca.{certificate}</string>
			<key>PayloadType</key>
			<string>com.apple.security.root</string>
			<key>PayloadUUID</key>
			<string>{certificate}</string>
			<key>PayloadVersion</key>
			<integer>1</integer>
		</dict>
	</array>
	<key>PayloadDisplayName</key>
	<string>{name}</string>
	<key>PayloadIdentifier</key>
	<string>wsbump.{profile}</string>
	<key>PayloadType</key>
	<string>Configuration</string>
	<key>PayloadUUID</key>
	<string>{profile}</string>
	<key>PayloadVersion</key>
	<integer>1</integer>
</dict>
</plist>
"#
    )
}

/// A UUID made of a hash (RFC 9562 section 5.8).
fn uuid(what: &[u8], der: &[u8]) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(what);
    context.update(der);
    let digest = context.finish();
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(digest.as_ref()) {
        *byte = *hashed;
    }
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// Firefox's policy (`policies.json`) that installs the CA from where Debian's line has put it.
pub(super) const POLICIES: &str = r#"{
  "policies": {
    "Certificates": {
      "ImportEnterpriseRoots": true,
      "Install": ["/usr/local/share/ca-certificates/wsbump-ca.crt"]
    }
  }
}
"#;

/// A QR code of an address, as SVG: black on white, with the quiet zone that readers want.
pub(super) fn qr(address: &str) -> Option<String> {
    use qrcodegen::{QrCode, QrCodeEcc};
    const QUIET: i32 = 4;
    let code = QrCode::encode_text(address, QrCodeEcc::Medium).ok()?;
    let size = code.size() + 2 * QUIET;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in 0..code.size() {
            if code.get_module(x, y) {
                let _ = write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
            }
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0,0h{size}v{size}h-{size}z\"/><path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_the_same_for_the_same_ca_and_cannot_be_broken_out_of() {
        let profile = mobileconfig(b"one", "CN=<a> & \"b\"");
        assert_eq!(profile, mobileconfig(b"one", "CN=<a> & \"b\""));
        assert_ne!(profile, mobileconfig(b"two", "CN=<a> & \"b\""));
        assert!(profile.contains("CN=&lt;a&gt; &amp; &quot;b&quot;"), "{profile}");
        let id = uuid(b"profile", b"one");
        assert_eq!((id.len(), &id[14..15]), (36, "8"), "{id}");
        assert!("89AB".contains(&id[19..20]), "{id}");
    }

    #[test]
    fn the_bundle_says_what_it_holds() {
        let extra = vec![CertificateDer::from(vec![1, 2, 3])];
        let text = bundle("CA\n", &PublicRoots { system: false, extra });
        assert!(text.contains("the 1 public roots"), "{text}");
        assert!(
            text.contains("\nCA\n-----BEGIN CERTIFICATE-----\nAQID\n"),
            "{text}"
        );
    }

    #[test]
    fn days_are_written_as_people_read_them() {
        assert_eq!(date(SystemTime::UNIX_EPOCH), "1970-01-01");
    }

    #[test]
    fn policies_are_json() {
        let policies: serde_json::Value = serde_json::from_str(POLICIES).unwrap();
        assert!(
            policies["policies"]["Certificates"]["Install"][0]
                .as_str()
                .unwrap()
                .ends_with(".crt")
        );
    }
}
