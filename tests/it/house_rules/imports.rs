//! Which file uses which: `use` declarations and paths in the code that ships, followed through re-exports to the file
//! that defines what they name. A `mod` declaration by itself uses nothing.
//!
//! What it does not see: methods that a file calls on a value without naming its type.

use super::code::{is_of_word, shipped, words};
use std::collections::{BTreeMap, BTreeSet};

/// For each file the files that it uses, with the names that it takes from them.
pub(super) type Uses = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

type Name = Vec<String>;

/// The files of some crates that a compiler reads when it does not test.
pub(super) struct Sources {
    /// What paths to the library begin with, in crates beside it.
    library: &'static str,
    pub(super) files: Vec<File>,
}

/// A file as a module of a crate.
pub(super) struct File {
    /// From the project's root.
    pub(super) path: String,
    /// The code that ships.
    pub(super) code: String,
    /// Paths that it names: those it declares with `use`, and those within its code.
    pub(super) paths: Vec<Name>,
    /// Its path within its crate.
    module: Name,
    root: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    /// What `use` calls by which name.
    names: BTreeMap<String, Name>,
    globs: Vec<Name>,
}

/// Where a path leads: to a module, or to something that a file defines.
#[derive(Clone, Copy)]
enum Place {
    Module(usize),
    Item(usize),
}

impl Sources {
    /// Reads crates from their roots on, the library's first.
    pub(super) fn read(library: &'static str, roots: &[&str], read: impl Fn(&str) -> Option<String>) -> Self {
        let mut sources = Self {
            library,
            files: Vec::new(),
        };
        for root in roots {
            let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
            let text = read(root).unwrap_or_else(|| panic!("no {root}"));
            sources.add(root, folder, &text, Vec::new(), None, &read);
        }
        sources
    }

    fn add(
        &mut self,
        path: &str,
        folder: &str,
        text: &str,
        module: Name,
        parent: Option<usize>,
        read: &impl Fn(&str) -> Option<String>,
    ) -> usize {
        let index = self.files.len();
        let (mut file, modules) = File::parse(path, shipped(text));
        file.root = parent.map_or(index, |parent| self.files[parent].root);
        (file.parent, file.module) = (parent, module.clone());
        self.files.push(file);
        for child in modules {
            let inner = format!("{folder}/{child}");
            let (path, text) = [format!("{inner}.rs"), format!("{inner}/mod.rs")]
                .into_iter()
                .find_map(|path| read(&path).map(|text| (path, text)))
                .unwrap_or_else(|| panic!("no file for the module {child} of {path}"));
            let module = [&module[..], std::slice::from_ref(&child)].concat();
            let added = self.add(&path, &inner, &text, module, Some(index), read);
            self.files[index].children.insert(child, added);
        }
        index
    }

    /// Which file uses which.
    pub(super) fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (index, file) in self.files.iter().enumerate() {
            let mut of = |place: Option<Place>, name: &str| match place {
                Some(Place::Item(other)) if self.files[other].path != file.path => {
                    let used = uses.entry(file.path.clone()).or_default();
                    let names = used.entry(self.files[other].path.clone()).or_default();
                    names.insert(name.to_owned());
                }
                _ => {}
            };
            for path in &file.paths {
                of(self.resolve(index, path, 0), &path.join("::"));
            }
            if !file.globs.is_empty() {
                for word in words(&file.code) {
                    if word.starts_with(is_of_word) && !file.items.contains(word) {
                        of(self.step(Place::Module(index), word, 0), word);
                    }
                }
            }
        }
        uses
    }

    /// The rooms of the library that a file names: the first parts of its paths.
    pub(super) fn rooms(&self, file: &File) -> BTreeSet<String> {
        let mut rooms = BTreeSet::new();
        for path in file.paths.iter().chain(&file.globs) {
            let supers = path.iter().take_while(|part| *part == "super").count();
            let room = match &path[0] {
                first if first == "crate" || first == self.library => path.get(1),
                _ if supers > 0 && supers >= file.module.len() => path.get(supers),
                _ => None,
            };
            rooms.extend(room.cloned());
        }
        rooms
    }

    fn resolve(&self, file: usize, path: &[String], turns: u8) -> Option<Place> {
        // A name that means itself: `use memchr::memchr`.
        let turns = (turns < 16).then_some(turns + 1)?;
        let (first, rest) = path.split_first()?;
        let mut place = match first.as_str() {
            "crate" => Place::Module(self.files[file].root),
            "self" => Place::Module(file),
            "super" => Place::Module(self.files[file].parent?),
            library if library == self.library => Place::Module(0),
            name => self.step(Place::Module(file), name, turns)?,
        };
        for part in rest {
            place = match place {
                Place::Module(of) if part == "super" => Place::Module(self.files[of].parent?),
                place => self.step(place, part, turns)?,
            };
        }
        Some(place)
    }

    fn step(&self, place: Place, name: &str, turns: u8) -> Option<Place> {
        let Place::Module(index) = place else {
            // A variant, a constant or a method of it.
            return Some(place);
        };
        let file = &self.files[index];
        if let Some(child) = file.children.get(name) {
            return Some(Place::Module(*child));
        }
        if file.items.contains(name) {
            return Some(Place::Item(index));
        }
        if let Some(path) = file.names.get(name) {
            return self.resolve(index, path, turns);
        }
        file.globs
            .iter()
            .find_map(|path| match self.resolve(index, path, turns)? {
                Place::Module(other) if other != index => self.step(Place::Module(other), name, turns),
                _ => None,
            })
    }
}

impl File {
    /// The paths that it names, with what `use` has shortened written out.
    pub(super) fn spelled_out(&self) -> impl Iterator<Item = String> {
        self.paths.iter().chain(&self.globs).map(|path| {
            let (first, rest) = path.split_at(1);
            let first = self.names.get(&first[0]).map_or(first, |declared| declared);
            [first, rest].concat().join("::")
        })
    }

    /// A file, and the modules that it declares.
    fn parse(path: &str, code: String) -> (Self, Vec<String>) {
        let mut file = Self {
            path: path.to_owned(),
            code: String::new(),
            paths: Vec::new(),
            module: Vec::new(),
            root: 0,
            parent: None,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            names: BTreeMap::new(),
            globs: Vec::new(),
        };
        let mut modules = Vec::new();
        let words = words(&code);
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        // Where the modules began that have no file of their own.
        let (mut depth, mut inline) = (0, Vec::new());
        let mut at = 0;
        while at < words.len() {
            let before = if at > 0 { word(at - 1) } else { "" };
            match words[at] {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    inline.pop_if(|began| *began == depth);
                }
                "use" if word(at + 1) != "<" => {
                    at += 1;
                    file.declare(&words, &mut at, Vec::new(), inline.len());
                }
                "mod" if word(at + 2) == ";" => modules.push(word(at + 1).to_owned()),
                "mod" if word(at + 2) == "{" => {
                    file.items.insert(word(at + 1).to_owned());
                    inline.push(depth);
                }
                "struct" | "enum" | "trait" | "type" | "fn" | "static" | "const"
                    if depth == 0 && before != "'" && before != "*" =>
                {
                    file.items.insert(word(at + 1).to_owned());
                }
                "macro_rules" => {
                    file.items.insert(word(at + 2).to_owned());
                }
                first
                    if first.starts_with(is_of_word)
                        && word(at + 1) == "::"
                        && before != "."
                        && before != "::" =>
                {
                    let mut path = vec![first.to_owned()];
                    while word(at + 1) == "::" && word(at + 2).starts_with(is_of_word) {
                        at += 2;
                        path.push(word(at).to_owned());
                    }
                    file.paths.push(seen_from_file(path, inline.len()));
                }
                _ => {}
            }
            at += 1;
        }
        file.code = code;
        (file, modules)
    }

    /// Takes in one tree of a `use` declaration.
    fn declare(&mut self, words: &[&str], at: &mut usize, mut path: Name, inline: usize) {
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        loop {
            match word(*at) {
                "::" => *at += 1,
                "*" => {
                    *at += 1;
                    self.globs.push(seen_from_file(path, inline));
                    return;
                }
                "{" => {
                    *at += 1;
                    while word(*at) != "}" {
                        self.declare(words, at, path.clone(), inline);
                        if word(*at) == "," {
                            *at += 1;
                        }
                    }
                    *at += 1;
                    return;
                }
                part => {
                    path.push(part.to_owned());
                    *at += 1;
                    if word(*at) == "::" {
                        continue;
                    }
                    if path.len() > 1 {
                        path.pop_if(|last| last == "self");
                    }
                    let mut name = path[path.len() - 1].clone();
                    if word(*at) == "as" {
                        name = word(*at + 1).to_owned();
                        *at += 2;
                    }
                    let path = seen_from_file(path, inline);
                    self.names.insert(name, path.clone());
                    self.paths.push(path);
                    return;
                }
            }
        }
    }
}

/// A path within `inline` modules that have no file of their own, as the file around them would write it.
fn seen_from_file(mut path: Name, inline: usize) -> Name {
    let outward = path
        .iter()
        .take(inline)
        .take_while(|part| *part == "super")
        .count();
    path.drain(..outward);
    if outward > 0 || path.is_empty() {
        path.insert(0, "self".to_owned());
    }
    path
}

/// Groups of files in which each reaches each other one.
pub(super) fn circles(uses: &Uses) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = uses
        .keys()
        .map(|file| {
            let (mut reached, mut next) = (BTreeSet::new(), vec![file.as_str()]);
            while let Some(file) = next.pop() {
                for other in uses.get(file).into_iter().flat_map(BTreeMap::keys) {
                    if reached.insert(other.as_str()) {
                        next.push(other);
                    }
                }
            }
            (file.as_str(), reached)
        })
        .collect();
    let circles: BTreeSet<BTreeSet<&str>> = reached
        .iter()
        .filter(|(file, others)| others.contains(*file))
        .map(|(file, others)| {
            let back = |other: &&&str| reached.get(**other).is_some_and(|far| far.contains(file));
            others.iter().filter(back).copied().collect()
        })
        .collect();
    circles.into_iter().collect()
}

/// A circle in words: who takes what from whom.
pub(super) fn told(circle: &BTreeSet<&str>, uses: &Uses) -> String {
    let mut text = String::new();
    for file in circle {
        for (other, names) in &uses[*file] {
            if circle.contains(other.as_str()) {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                text += &format!("{file} -> {other}: {}\n", names.join(", "));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(files: &[(&str, &str)]) -> Vec<String> {
        let read = |path: &str| {
            let found = files.iter().find(|(name, _)| *name == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        let roots: Vec<&str> = files
            .iter()
            .map(|(path, _)| *path)
            .filter(|path| path.ends_with("lib.rs") || path.ends_with("main.rs"))
            .collect();
        let sources = Sources::read("house", &roots, read);
        let mut told = Vec::new();
        for (file, others) in sources.uses() {
            for (other, names) in others {
                let names: Vec<_> = names.into_iter().collect();
                told.push(format!("{file} {other} {}", names.join(" ")));
            }
        }
        told
    }

    #[test]
    fn a_name_is_followed_to_the_file_that_defines_it() {
        let told = uses(&[
            ("s/lib.rs", "pub mod a; mod b; #[cfg(test)] mod t;"),
            (
                "s/a/mod.rs",
                "mod c; mod d; pub use c::{C, self as see}; pub struct A; fn f() { d::g(); }",
            ),
            ("s/a/c.rs", "use super::A; pub struct C; pub enum E { F }"),
            (
                "s/a/d.rs",
                "pub fn g() {} use super::super::a::C as Other; /// super::A\nconst T: &str = \"crate::b::B\";",
            ),
            (
                "s/b.rs",
                "use crate::a::{self, A as B}; use memchr::memchr; fn h(x: a::see::E) { a::see::E::F; memchr::x() }",
            ),
            ("s/main.rs", "use house::a::*; fn main() { A; std::b(); }"),
        ]);
        assert_eq!(
            told,
            [
                "s/a/c.rs s/a/mod.rs super::A",
                "s/a/d.rs s/a/c.rs super::super::a::C",
                "s/a/mod.rs s/a/c.rs c::C",
                "s/a/mod.rs s/a/d.rs d::g",
                "s/b.rs s/a/c.rs a::see::E a::see::E::F",
                "s/b.rs s/a/mod.rs crate::a::A",
                "s/main.rs s/a/mod.rs A",
            ]
        );
    }

    #[test]
    fn modules_within_a_file_are_part_of_it() {
        let told = uses(&[
            ("s/lib.rs", "mod a; pub struct A;"),
            (
                "s/a.rs",
                "struct B; mod m { use super::B; use super::super::A; pub(super) fn f() -> &'static str {} } mod c;",
            ),
            ("s/a/c.rs", "use super::m::f; fn g() { super::m::f() }"),
        ]);
        assert_eq!(
            told,
            ["s/a.rs s/lib.rs self::super::A", "s/a/c.rs s/a.rs super::m::f"]
        );
    }

    #[test]
    fn a_circle_is_who_reaches_himself() {
        let mut all = Uses::new();
        for (file, other) in [
            ("a", "b"),
            ("b", "c"),
            ("c", "b"),
            ("c", "d"),
            ("e", "f"),
            ("f", "g"),
            ("g", "e"),
        ] {
            let used = all.entry(file.to_owned()).or_default();
            used.entry(other.to_owned()).or_default().insert("x".to_owned());
        }
        assert_eq!(
            circles(&all),
            [BTreeSet::from(["b", "c"]), BTreeSet::from(["e", "f", "g"])]
        );
        assert_eq!(told(&circles(&all)[0], &all), "b -> c: x\nc -> b: x\n");
    }
}
