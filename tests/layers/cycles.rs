//! Finds import cycles between siblings: files and folders that have the same parent.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::resolve_imports::{Crate, ModulePath, Usage};

/// Which sibling uses which, with one place as an example. A folder's own items are the node `<folder>/mod`.
pub(super) type Edges = BTreeMap<String, BTreeMap<String, Usage>>;

/// Returns the edges between siblings at every level.
pub(super) fn sibling_edges(sources: &Crate) -> Edges {
    let mut edges = Edges::new();
    for usage in sources.usages() {
        let (from, to) = sibling_nodes(&usage.from, &usage.to);
        edges.entry(from).or_default().entry(to).or_insert(usage);
    }
    edges
}

/// Returns the two siblings, at the level where the paths part.
fn sibling_nodes(from: &ModulePath, to: &ModulePath) -> (String, String) {
    let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let node = |path: &ModulePath| {
        let mut path = path.clone();
        path.truncate(shared + 1);
        if path.len() == shared {
            path.push("mod".to_owned());
        }
        path.join("/")
    };
    (node(from), node(to))
}

/// Returns the shortest cycle through each step that is in one: `a → b → a`, beginning at its first node in order.
pub(super) fn cycles(edges: &Edges) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (from, targets) in edges {
        for to in targets.keys() {
            let Some(mut way) = shortest_way(edges, to, from) else {
                continue;
            };
            way.pop();
            way.insert(0, from);
            let first = (0..way.len()).min_by_key(|index| way[*index]).unwrap_or(0);
            way.rotate_left(first);
            found.insert(format!("{} → {}", way.join(" → "), way[0]));
        }
    }
    found
}

/// Returns the nodes of a shortest way of at least one step, both ends included.
fn shortest_way<'a>(edges: &'a Edges, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([vec![from]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in edges
            .get(way[way.len() - 1])
            .into_iter()
            .flat_map(BTreeMap::keys)
        {
            let mut longer = way.clone();
            longer.push(next);
            if next == to {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// Returns where each step of a cycle is made: `mesh/claim → mesh/peer: src/mesh/claim/queue.rs:12 uses mesh::peer`.
pub(super) fn evidence(edges: &Edges, cycle: &str) -> Vec<String> {
    let nodes: Vec<&str> = cycle.split(" → ").collect();
    let places = nodes.windows(2).filter_map(|step| {
        let usage = edges.get(step[0])?.get(step[1])?;
        let target = usage.to.join("::");
        Some(format!(
            "    {} → {}: src/{} uses {target}",
            step[0], step[1], usage.place
        ))
    });
    places.collect()
}

#[cfg(test)]
fn edges(sources: &[(&str, &str)]) -> Edges {
    sibling_edges(&Crate::read(sources.iter().copied()))
}

#[test]
fn cycle_between_two_siblings_is_named() {
    let edges = edges(&[
        ("m/mod.rs", "mod a; mod b; mod c;"),
        ("m/a.rs", "use super::b::B; pub struct A;"),
        ("m/b.rs", "fn f() { super::a::g() } pub struct B;"),
        ("m/c.rs", "use super::{a::A, b::B};"),
    ]);
    assert_eq!(
        cycles(&edges),
        BTreeSet::from(["m/a → m/b → m/a".to_owned()])
    );
    assert_eq!(evidence(&edges, "m/a → m/b → m/a").len(), 2);
}

#[test]
fn cycle_between_folders_is_seen_at_their_level() {
    let edges = edges(&[
        ("m/mod.rs", "mod a; mod b;"),
        ("m/a/mod.rs", "mod x; mod z;"),
        ("m/b/mod.rs", "mod y;"),
        ("m/a/x.rs", "use crate::m::b::y::Y; pub struct X;"),
        ("m/a/z.rs", "pub struct Z;"),
        ("m/b/y.rs", "use crate::m::a::z::Z; pub struct Y;"),
    ]);
    assert_eq!(
        cycles(&edges),
        BTreeSet::from(["m/a → m/b → m/a".to_owned()])
    );
}

#[test]
fn cycle_of_three_is_reported_once() {
    let edges = edges(&[
        ("m/a.rs", "use super::b::B; pub struct A;"),
        ("m/b.rs", "use super::c::C; pub struct B;"),
        ("m/c.rs", "use super::a::A; pub struct C;"),
    ]);
    assert_eq!(
        cycles(&edges),
        BTreeSet::from(["m/a → m/b → m/c → m/a".to_owned()])
    );
}

#[test]
fn parent_with_items_is_a_node_and_a_mere_list_is_none() {
    let with_items = edges(&[
        ("m/mod.rs", "mod a; fn f() { a::g() } pub struct Own;"),
        ("m/a.rs", "use super::Own; pub fn g() {}"),
    ]);
    assert_eq!(
        cycles(&with_items),
        BTreeSet::from(["m/a → m/mod → m/a".to_owned()])
    );
    let list = edges(&[
        ("m/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("m/a.rs", "use super::B; pub struct A;"),
        ("m/b.rs", "pub struct B;"),
    ]);
    assert_eq!(cycles(&list), BTreeSet::new());
}
