//! What must occur in every subject that an expression matches, so that most expressions need not be run.

use super::ere::Node;

/// A class of more bytes than this ends a string instead of multiplying it.
const MAX_CLASS: usize = 4;
/// The most strings of which one has to occur.
const MAX_STRINGS: usize = 16;
/// The most bytes of one string: only a few can be looked up.
const MAX_STRING: usize = 64;

/// Strings, at least one of which is in every subject that matches. Without strings nothing matches.
pub(super) type OneOf = Vec<Vec<u8>>;

/// Every condition that a match of `node` is seen to fulfil, on subjects without upper-case letters.
pub(super) fn required(node: &Node) -> Vec<OneOf> {
    let mut walk = RequiredWalk::default();
    walk.node(node);
    walk.cut();
    walk.conditions
}

#[derive(Default)]
struct RequiredWalk {
    conditions: Vec<OneOf>,
    /// The strings that end where the walk has come to, if the walk knows any.
    run: Option<OneOf>,
}

impl RequiredWalk {
    fn node(&mut self, node: &Node) {
        // Places are zero bytes wide: what stands on both sides of one is adjacent.
        match node {
            Node::Empty | Node::At(_) => {}
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.node(node)),
            Node::Set(set) => match set.without_upper_case().only() {
                Some(byte) => self.push(byte),
                None => self.other(node),
            },
            _ => self.other(node),
        }
    }

    fn other(&mut self, node: &Node) {
        match exact(node) {
            Some(strings) => self.append(strings),
            None => {
                self.cut();
                self.conditions.extend(inner(node));
            }
        }
    }

    /// What `append` does with a single byte, which is what most nodes are.
    fn push(&mut self, byte: u8) {
        let run = self.run.get_or_insert_with(|| vec![Vec::new()]);
        if run.iter().any(|string| string.len() >= MAX_STRING) {
            self.cut();
            self.run = Some(vec![vec![byte]]);
            return;
        }
        run.iter_mut().for_each(|string| string.push(byte));
    }

    fn append(&mut self, strings: OneOf) {
        let run = self.run.take().unwrap_or_else(|| vec![Vec::new()]);
        self.run = match product(&run, &strings) {
            Some(longer) => Some(longer),
            None => {
                self.run = Some(run);
                self.cut();
                Some(strings)
            }
        };
    }

    /// Ends the strings: what comes next is of no known form.
    fn cut(&mut self) {
        if let Some(strings) = self.run.take()
            && strings.iter().all(|string| !string.is_empty())
        {
            self.conditions.push(strings);
        }
    }
}

/// The conditions of a node that is no small set of strings.
fn inner(node: &Node) -> Vec<OneOf> {
    match node {
        Node::Repeat { node, min: 1.., .. } => required(node),
        Node::Alt(branches) => {
            let mut union = Vec::new();
            for branch in branches {
                // The longest are likely to be the rarest; which are is not known before the whole list is.
                let conditions = required(branch);
                let shortest = |strings: &OneOf| strings.iter().map(Vec::len).min().unwrap_or(usize::MAX);
                let Some(best) = conditions.into_iter().max_by_key(shortest) else {
                    return Vec::new();
                };
                union.extend(best);
                if union.len() > MAX_STRINGS {
                    return Vec::new();
                }
            }
            vec![union]
        }
        _ => Vec::new(),
    }
}

/// All strings that `node` matches, if they are few.
fn exact(node: &Node) -> Option<OneOf> {
    match node {
        Node::Empty | Node::At(_) => Some(vec![Vec::new()]),
        Node::Set(set) => {
            let set = set.without_upper_case();
            (set.len() <= MAX_CLASS).then(|| set.iter().map(|byte| vec![byte]).collect())
        }
        Node::Concat(nodes) => nodes
            .iter()
            .try_fold(vec![Vec::new()], |all, node| product(&all, &exact(node)?)),
        Node::Alt(branches) => {
            let mut union = Vec::new();
            for branch in branches {
                union.extend(exact(branch)?);
                if union.len() > MAX_STRINGS {
                    return None;
                }
            }
            Some(union)
        }
        Node::Repeat { node, min, max } => {
            let (once, max) = (exact(node)?, (*max)?);
            let (mut power, mut union) = (vec![Vec::new()], Vec::new());
            for times in 0..=max {
                if times >= *min {
                    union.extend(power.iter().cloned());
                }
                if times < max {
                    power = product(&power, &once)?;
                }
                // An empty string to any power is one string, however large the power.
                if union.len() > MAX_STRINGS || times as usize > MAX_STRING {
                    return None;
                }
            }
            Some(union)
        }
    }
}

fn product(left: &OneOf, right: &OneOf) -> Option<OneOf> {
    let longest = |strings: &OneOf| strings.iter().map(Vec::len).max().unwrap_or(0);
    if left.len() * right.len() > MAX_STRINGS || longest(left) + longest(right) > MAX_STRING {
        return None;
    }
    let all = left
        .iter()
        .flat_map(|l| right.iter().map(move |r| [l.as_slice(), r.as_slice()].concat()));
    Some(all.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::ere;

    #[test]
    fn strings_that_every_match_contains_are_found() {
        for (pattern, expected) in [
            (
                r"^host7-[0-9]+\.example:443$",
                vec![vec!["host7-"], vec![".example:443"]],
            ),
            ("a[xy]b.*c", vec![vec!["axb", "ayb"], vec!["c"]]),
            ("(foo[0-9]|bar[0-9]x).", vec![vec!["foo", "bar"]]),
            ("(foo[0-9]|[0-9]).", vec![]),
            ("(ab+)+c?d", vec![vec!["a"], vec!["b"], vec!["cd", "d"]]),
            ("(ab[0-9])*c", vec![vec!["c"]]),
            (r"x\<y$", vec![vec!["xy"]]),
            ("[0-9]+", vec![]),
            ("a?", vec![]),
            ("(a|)", vec![]),
            ("(){9}a", vec![vec!["a"]]),
        ] {
            let mut found = required(&ere::parse(pattern, true).unwrap());
            found.iter_mut().for_each(|strings| strings.sort());
            let mut expected: Vec<Vec<Vec<u8>>> = expected
                .iter()
                .map(|strings| strings.iter().map(|s| s.as_bytes().to_vec()).collect())
                .collect();
            expected.iter_mut().for_each(|strings| strings.sort());
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn what_can_never_match_requires_the_impossible() {
        // Upper case heeded: no subject has it.
        assert_eq!(required(&ere::parse("aBc", false).unwrap()), [OneOf::new()]);
    }
}
