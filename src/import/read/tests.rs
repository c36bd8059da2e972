use super::*;
use crate::import::note::Place;

/// The lines of files in a folder, of which the first is read.
fn lines(files: &[(&str, &str)]) -> Result<Vec<String>, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let first = folder.path().join(files[0].0);
    let shown = |place: &Place| {
        place
            .to_string()
            .replace(&format!("{}/", folder.path().display()), "")
    };
    let read = read(&first, &mut Reader::beside(&first)).map_err(|error| ReadError {
        place: error.place.replace(&format!("{}/", folder.path().display()), ""),
        ..error
    })?;
    Ok(read
        .lines
        .iter()
        .map(|line| format!("{} {}", shown(&line.place), line.text))
        .collect())
}

fn of(text: &str) -> Vec<String> {
    lines(&[("s", text)]).unwrap()
}

#[test]
fn lines_go_on_behind_a_backslash() {
    assert_eq!(of("a b \\\n  c\nd"), ["s:1 a b c", "s:3 d"]);
    assert_eq!(of("a b\\\nc"), ["s:1 a bc"]);
    assert_eq!(of("a \\\n# in between\n\n  b\nc"), ["s:1 a b", "s:5 c"]);
    assert_eq!(of("a \\"), ["s:1 a"]);
    assert_eq!(of("\\\n\\\n"), Vec::<String>::new());
    assert_eq!(of("  a\tb  \r\n# c\n\u{feff}"), ["s:1 a\tb", "s:3 \u{feff}"]);
}

#[test]
fn conditions_choose_lines() {
    assert_eq!(of("if true\na\nelse\nb\nendif\nc"), ["s:2 a", "s:6 c"]);
    assert_eq!(of("if false\na\nif true\nb\nendif\nelse\nc\nendif"), ["s:7 c"]);
    assert_eq!(
        of("if ${process_number} = 0\na\nendif\nb ${service_name}"),
        ["s:2 a", "s:4 b squid"]
    );
    assert_eq!(
        of("workers 4\nif ${process_number} = 1\na\nendif"),
        ["s:1 workers 4", "s:3 a"]
    );
    for (text, place) in [
        ("a\nif what\nendif", "s:2"),
        ("else", "s:1"),
        ("a\nendif", "s:2"),
        ("\nif true", "s:2"),
    ] {
        assert_eq!(lines(&[("s", text)]).unwrap_err().place, place, "{text}");
    }
}

#[test]
fn files_stand_in_place_of_their_include() {
    let files = |first| {
        lines(&[
            ("s", first),
            ("conf.d/2.conf", "c"),
            ("conf.d/1.conf", "b"),
            ("conf.d/x", "x"),
            ("etc/acl", "acl"),
        ])
    };
    assert_eq!(
        files("a\ninclude conf.d/*.conf\nd").unwrap(),
        ["s:1 a", "conf.d/1.conf:1 b", "conf.d/2.conf:1 c", "s:3 d"]
    );
    // What came from another machine is found beside the configuration.
    assert_eq!(files("include /nowhere/etc/acl").unwrap(), ["etc/acl:1 acl"]);
    assert_eq!(
        files("include /nowhere/conf.d/*.conf").unwrap(),
        ["conf.d/1.conf:1 b", "conf.d/2.conf:1 c"]
    );
    let missing = files("a\ninclude /nowhere/else").unwrap_err();
    assert!(
        missing.place == "s:2" && missing.message.contains("\"/nowhere/else\""),
        "{missing}"
    );
    let circle = files("include s").unwrap_err();
    assert!(circle.message.contains("nested more than 16 deep"), "{circle}");
    // Two includes of itself in each line would be 2^16 files.
    let bomb = lines(&[("s", "include s s s s s s s s")]).unwrap_err();
    assert!(
        bomb.message.contains("deep") || bomb.message.contains("more than"),
        "{bomb}"
    );
}

#[test]
fn the_rest_of_a_line_is_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    std::fs::write(&path, "logformat  x  %ts \"%ru\"").unwrap();
    let read = read(&path, &mut Reader::beside(&path)).unwrap();
    assert_eq!(read.lines[0].rest(1), "%ts \"%ru\"");
    assert_eq!(read.lines[0].rest(9), "");
}
