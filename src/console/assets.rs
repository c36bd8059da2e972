//! What the console's page is made of. It is in the program: nothing is fetched from anywhere else.

/// A file of the page.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its path below the console.
    pub(super) path: &'static str,
    /// Its type.
    pub(super) content_type: &'static str,
    /// What is in it.
    pub(super) body: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

macro_rules! assets {
    ($($path:literal $file:literal $content_type:expr;)*) => {
        /// All of them.
        pub(super) const ASSETS: &[Asset] = &[$(Asset {
            path: $path,
            content_type: $content_type,
            body: include_str!(concat!("web/", $file)),
        }),*];
    };
}

assets! {
    "/" "index.html" HTML;
    "/style.css" "style.css" STYLE;
    "/icon.svg" "icon.svg" "image/svg+xml";
    "/app.js" "app.js" SCRIPT;
    "/api.js" "api.js" SCRIPT;
    "/decode.js" "decode.js" SCRIPT;
    "/exchanges.js" "exchanges.js" SCRIPT;
    "/export.js" "export.js" SCRIPT;
    "/format.js" "format.js" SCRIPT;
    "/list.js" "list.js" SCRIPT;
    "/live.js" "live.js" SCRIPT;
    "/parts.js" "parts.js" SCRIPT;
    "/place.js" "place.js" SCRIPT;
    "/spark.js" "spark.js" SCRIPT;
    "/store.js" "store.js" SCRIPT;
    "/watched.js" "watched.js" SCRIPT;
    "/pages/connection.js" "pages/connection.js" SCRIPT;
    "/pages/connections.js" "pages/connections.js" SCRIPT;
    "/pages/findings.js" "pages/findings.js" SCRIPT;
    "/pages/login.js" "pages/login.js" SCRIPT;
    "/pages/messages.js" "pages/messages.js" SCRIPT;
    "/pages/policy.js" "pages/policy.js" SCRIPT;
    "/pages/requests.js" "pages/requests.js" SCRIPT;
    "/pages/state.js" "pages/state.js" SCRIPT;
    "/pages/throughput.js" "pages/throughput.js" SCRIPT;
    "/pages/unlocks.js" "pages/unlocks.js" SCRIPT;
    "/vendor/preact.js" "vendor/preact.js" SCRIPT;
    "/vendor/licences.txt" "vendor/licences.txt" PLAIN;
}

/// The file at this path.
pub(super) fn at(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::Write as _;
    use std::path::{Path, PathBuf};

    /// What a browser loads may weigh at most, compressed file by file.
    const BUDGET: usize = 60_000;

    fn web() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/web")
    }

    fn files(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                let below = path.strip_prefix(web()).unwrap();
                found.insert(format!("/{}", below.display()));
            }
        }
    }

    #[test]
    fn every_file_is_served_but_those_that_make_others() {
        let mut there = BTreeSet::new();
        files(&web(), &mut there);
        for maker in ["/vendor/README.md", "/vendor/build.mjs"] {
            assert!(there.remove(maker));
        }
        assert!(there.remove("/index.html"));
        there.insert("/".to_owned());
        let served: BTreeSet<_> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(served, there);
    }

    #[test]
    fn all_of_it_is_small() {
        let weigh = |asset: &Asset| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packed.write_all(asset.body.as_bytes()).unwrap();
            packed.finish().unwrap().len()
        };
        let all: usize = ASSETS.iter().map(weigh).sum();
        assert!(all <= BUDGET, "{all} bytes of {BUDGET}");
    }

    /// What comes from the network is text to the browser, and nothing but the page's own files is run. The policy of the page
    /// says so as well; this holds it where a browser does not know the policy.
    #[test]
    fn nothing_makes_code_or_markup_of_text() {
        let forbidden = [
            "eval(",
            "new Function",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "dangerouslySetInnerHTML",
            "document.write",
            "createContextualFragment",
            "setHTMLUnsafe",
            "DOMParser",
            "srcdoc",
            "javascript:",
        ];
        let code = ASSETS.iter().filter(|asset| asset.content_type != PLAIN);
        for asset in code {
            for word in forbidden {
                assert!(!asset.body.contains(word), "{}: {word}", asset.path);
            }
            let schemes = ["http://", "https://"].iter().filter(|scheme| {
                // Names of XML namespaces are no addresses.
                asset.body.replace("http://www.w3.org/", "").contains(**scheme)
            });
            assert_eq!(schemes.count(), 0, "{} names another site", asset.path);
        }
    }

    /// The page is loaded under a policy without inline code and styles.
    #[test]
    fn the_page_has_nothing_inline() {
        let page = at("/").unwrap().body;
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" on"));
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script type=\"module\" src=\"/").count()
        );
    }
}
