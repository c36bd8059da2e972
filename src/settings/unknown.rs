//! A key that nobody knows: what was probably meant.

use super::problem::{distance, nearest};

/// In how many tables a key of the top is at most looked for: one that is in many says nothing.
const AT_THE_TOP: usize = 3;

/// What to do about `word` in the table `section`, where the keys `here` are known, and `all` anywhere.
pub(super) fn advice(word: &str, section: &str, here: &[&str], all: &[String]) -> String {
    let meant = |candidate: &&&str| {
        let plain = |word: &str| word.to_ascii_lowercase().replace('-', "_");
        let (word, candidate) = (plain(word), plain(candidate));
        // People write `certificate` for `cert`, and `servers` for `server`.
        distance(&word, &candidate) <= 1 || (candidate.len() > 2 && word.starts_with(&candidate))
    };
    if let Some(near) = here.iter().find(meant) {
        return format!("did you mean \"{near}\"?");
    }
    let homes: Vec<&str> = all
        .iter()
        .filter_map(|known| known.rsplit_once('.'))
        .filter(|(home, known)| *known == word && *home != section)
        .map(|(home, _)| home)
        .collect();
    // At the top, where nothing of the kind can stand, several are still of use.
    let most = if section.is_empty() { AT_THE_TOP } else { 1 };
    if (1..=most).contains(&homes.len()) {
        let homes: Vec<_> = homes.iter().map(|home| format!("[{home}]")).collect();
        return format!("it belongs under {}", homes.join(" or "));
    }
    match nearest(word, here.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known here: {}", here.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn what_was_meant_is_near_or_has_one_home() {
        let all: Vec<_> = ["ca.cert", "ca.key", "list.file", "token.file", "timeouts.drain"]
            .map(str::to_owned)
            .into();
        let ask = |word: &str, here: &[&str]| advice(word, "ca", here, &all);
        let here = ["cert", "key", "websocket_idle", "urls"];
        for (word, near) in [
            ("certificate", "cert"),
            ("Key", "key"),
            ("keys", "key"),
            ("url", "urls"),
            ("websocket-idle", "websocket_idle"),
        ] {
            assert_eq!(ask(word, &here), format!("did you mean \"{near}\"?"));
        }
        assert_eq!(ask("drain", &here), "it belongs under [timeouts]");
        assert_eq!(ask("file", &here), "known here: cert, key, websocket_idle, urls");
        assert_eq!(ask("xyzzy", &["a"]), "known here: a");
    }
}
