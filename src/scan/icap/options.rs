//! What a service says of itself (RFC 3507 section 4.10.2).

use super::head::IcapHead;
use super::modification::Modification;
use std::time::Duration;

/// An answer to OPTIONS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Options {
    request: bool,
    response: bool,
    /// How many bytes the service wants to see first.
    pub(super) preview: Option<usize>,
    transfer_preview: Vec<String>,
    transfer_ignore: Vec<String>,
    transfer_complete: Vec<String>,
    /// How many connections it wants at most.
    pub(super) max_connections: Option<usize>,
    /// How long this holds; without it, until the ISTag changes.
    pub(super) ttl: Option<Duration>,
    /// The state of the service.
    pub(super) istag: Option<String>,
    /// Whether it may answer with the beginning of a message and leave the rest as it is (206).
    pub(super) partial: bool,
}

impl Options {
    pub(super) fn new(head: &IcapHead) -> Result<Self, String> {
        let number = |name: &str| head.header(name).and_then(|value| value.parse::<u32>().ok());
        let list = |name: &str| head.list(name).map(str::to_ascii_lowercase).collect::<Vec<_>>();
        let methods = list("methods");
        let options = Self {
            request: methods.iter().any(|method| method == "reqmod"),
            response: methods.iter().any(|method| method == "respmod"),
            preview: number("preview").map(|bytes| bytes as usize),
            transfer_preview: list("transfer-preview"),
            transfer_ignore: list("transfer-ignore"),
            transfer_complete: list("transfer-complete"),
            // None at all would be a service that must not be used.
            max_connections: number("max-connections").map(|most| (most as usize).max(1)),
            ttl: number("options-ttl").map(|seconds| Duration::from_secs(seconds.into())),
            istag: head.header("istag").map(str::to_owned),
            partial: list("allow").iter().any(|status| status == "206"),
        };
        if !options.request && !options.response {
            return Err("it offers neither REQMOD nor RESPMOD".to_owned());
        }
        Ok(options)
    }

    /// Whether the service knows this method.
    pub(super) fn offers(&self, modification: Modification) -> bool {
        match modification {
            Modification::Request => self.request,
            Modification::Response => self.response,
        }
    }

    /// Whether the service does not want files of this extension at all; `*` stands for what no list names.
    pub(super) fn ignores(&self, extension: Option<&str>) -> bool {
        self.transfer(extension) == TransferMode::Ignore
    }

    pub(super) fn wants_preview(&self, extension: Option<&str>) -> bool {
        self.transfer(extension) == TransferMode::Preview
    }

    fn transfer(&self, extension: Option<&str>) -> TransferMode {
        let lists = [
            (&self.transfer_preview, TransferMode::Preview),
            (&self.transfer_ignore, TransferMode::Ignore),
            (&self.transfer_complete, TransferMode::Complete),
        ];
        let listed = |wanted: &str| {
            lists
                .iter()
                .find(|(list, _)| list.iter().any(|member| member.eq_ignore_ascii_case(wanted)))
        };
        match extension.and_then(listed).or_else(|| listed("*")) {
            // A message is no file: a rule asked for its scan, and there is no extension to leave it out by.
            Some((_, TransferMode::Ignore)) if extension.is_none() => TransferMode::Complete,
            Some((_, transfer)) => *transfer,
            None => TransferMode::Preview,
        }
    }
}

/// What is done with a file by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransferMode {
    /// The beginning first, if the service stated how much of it.
    Preview,
    /// It is not sent: what a scanner does not want is clean.
    Ignore,
    /// All of it at once, without a preview.
    Complete,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(headers: &str) -> Result<Options, String> {
        let text = format!("ICAP/1.0 200 OK\r\n{headers}\r\n");
        Options::new(&IcapHead::parse(text.as_bytes()).unwrap().unwrap().0)
    }

    #[test]
    fn reads_what_c_icap_says() {
        let options = options(
            "Methods: RESPMOD, REQMOD\r\nService: C-ICAP/0.5.10 server - Antivirus service\r\n\
             ISTag: \"CI0001-x\"\r\nTransfer-Preview: *\r\nOptions-TTL: 3600\r\nPreview: 1024\r\nAllow: 204\r\n\
             Max-Connections: 20\r\nEncapsulated: null-body=0\r\n",
        )
        .unwrap();
        assert!(options.offers(Modification::Request) && options.offers(Modification::Response));
        assert_eq!(options.preview, Some(1024));
        assert_eq!(options.ttl, Some(Duration::from_secs(3600)));
        assert_eq!(options.max_connections, Some(20));
        assert_eq!(options.istag.as_deref(), Some("\"CI0001-x\""));
        assert!(options.wants_preview(None) && options.wants_preview(Some("exe")));
        assert!(!options.partial);
    }

    #[test]
    fn a_service_says_whether_it_answers_in_part() {
        assert!(
            options("Methods: RESPMOD\r\nAllow: 204, 206\r\n")
                .unwrap()
                .partial
        );
    }

    #[test]
    fn extensions_decide_and_the_star_is_the_rest() {
        let options = options(
            "Methods: RESPMOD\r\nTransfer-Preview: *\r\nTransfer-Ignore: html, JPG\r\nTransfer-Complete: asp\r\n",
        )
        .unwrap();
        assert!(!options.offers(Modification::Request));
        assert!(options.ignores(Some("jpg")) && options.ignores(Some("HTML")));
        assert!(!options.wants_preview(Some("asp")) && !options.ignores(Some("asp")));
        assert!(options.wants_preview(Some("bin")) && options.wants_preview(None));
    }

    #[test]
    fn a_message_is_never_left_out() {
        let options = options("Methods: REQMOD\r\nTransfer-Ignore: *\r\nTransfer-Preview: exe\r\n").unwrap();
        assert!(!options.ignores(None) && !options.wants_preview(None));
        assert!(options.ignores(Some("txt")) && options.wants_preview(Some("exe")));
    }

    #[test]
    fn a_service_without_methods_is_none() {
        assert!(options("Preview: 0\r\n").unwrap_err().contains("neither"));
        assert_eq!(
            options("Methods: REQMOD\r\nPreview: x\r\n").unwrap().preview,
            None
        );
    }
}
