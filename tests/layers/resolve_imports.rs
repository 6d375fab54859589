//! Which module uses which: reads `use` declarations and paths in code, and resolves both through re-exports.
use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenTree};

use super::syntax::{group, is_ident, is_punct, parse_without_tests};

/// A path of modules from the root of the crate, and possibly an item at its end.
pub(super) type ModulePath = Vec<String>;

/// A module as it is written: its imports, its items and the paths in its code.
#[derive(Debug, Default)]
struct Module {
    imports: Vec<Import>,
    items: BTreeSet<String>,
    children: BTreeSet<String>,
    paths: Vec<(usize, ModulePath)>,
    words: BTreeSet<String>,
}

#[derive(Debug)]
struct Import {
    line: usize,
    path: ModulePath,
    /// The name in this module; `*` for all names.
    name: String,
    is_public: bool,
    /// Whether it is a declaration of the module itself and not of a function.
    is_module_level: bool,
}

/// One module uses another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Usage {
    pub(super) from: ModulePath,
    pub(super) to: ModulePath,
    /// The place in the first module: `mesh/claim/queue.rs:12`.
    pub(super) place: String,
}

/// The modules of a crate by path. A module within a file counts as a part of that file.
#[derive(Debug, Default)]
pub(super) struct Crate {
    modules: BTreeMap<ModulePath, Module>,
    /// The file that each module is written in, and the module of that file.
    files: BTreeMap<ModulePath, (String, ModulePath)>,
}

impl Crate {
    /// Reads the files of a crate. Each has a path below the source folder: `mesh/claim/queue.rs`.
    pub(super) fn read<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all = Self::default();
        for (file, text) in sources {
            let path = module_of_file(file);
            let tokens = parse_without_tests(text);
            all.walk(&path, &(file.to_owned(), path.clone()), &tokens);
        }
        // A file whose declaration is for tests only is not declared here.
        let declared = |path: &ModulePath| {
            let Some((name, parent)) = path.split_last() else {
                return true;
            };
            all.modules
                .get(parent)
                .is_none_or(|parent| parent.children.contains(name))
        };
        let hidden: Vec<_> = all
            .modules
            .keys()
            .filter(|path| !declared(path))
            .cloned()
            .collect();
        all.modules
            .retain(|path, _| !hidden.iter().any(|hidden| path.starts_with(hidden)));
        all
    }

    fn walk(&mut self, path: &ModulePath, file: &(String, ModulePath), tokens: &[TokenTree]) {
        self.files.insert(path.clone(), file.clone());
        let mut module = Module::default();
        let mut inner = Vec::new();
        scan(tokens, true, &mut module, &mut inner);
        for (name, _) in &inner {
            module.children.insert(name.clone());
        }
        self.modules.insert(path.clone(), module);
        for (name, tokens) in inner {
            let mut path = path.clone();
            path.push(name);
            self.walk(&path, file, &tokens);
        }
    }

    /// Returns every use of one file's module by another's.
    pub(super) fn usages(&self) -> Vec<Usage> {
        let mut found = BTreeSet::new();
        for (path, module) in &self.modules {
            let imports = module
                .imports
                .iter()
                .filter(|import| !import.is_public || module.words.contains(&import.name));
            let imported = imports.map(|import| (import.line, &import.path));
            let mentioned = module.paths.iter().map(|(line, path)| (*line, path));
            for (line, used) in imported.chain(mentioned) {
                let Some((target, is_item)) = self.resolve(path, used, 0) else {
                    continue;
                };
                let ((file, from), (_, to)) = (&self.files[path], &self.files[&target]);
                // The import of a module above brings names into reach; the paths that begin with it are the uses.
                if from != to && (is_item || !from.starts_with(to)) {
                    found.insert(Usage {
                        from: from.clone(),
                        to: to.clone(),
                        place: format!("{file}:{line}"),
                    });
                }
            }
        }
        found.into_iter().collect()
    }

    /// Returns the module in which a path ends, and whether it names an item there. `None` for other crates.
    fn resolve(
        &self,
        at: &ModulePath,
        path: &[String],
        depth: usize,
    ) -> Option<(ModulePath, bool)> {
        let (first, rest) = path.split_first()?;
        if depth > 8 {
            return None;
        }
        match first.as_str() {
            "crate" => self.descend(Vec::new(), rest, depth),
            "self" => self.descend(at.clone(), rest, depth),
            "super" => {
                let mut above = at.clone();
                above.pop()?;
                let rest: Vec<String> = match rest.first().map(String::as_str) {
                    Some("super") => rest.to_vec(),
                    _ => std::iter::once("self".to_owned())
                        .chain(rest.iter().cloned())
                        .collect(),
                };
                self.resolve(&above, &rest, depth)
            }
            _ => {
                let module = self.modules.get(at)?;
                let is_known = module.children.contains(first)
                    || module
                        .imports
                        .iter()
                        .any(|import| import.is_module_level && import.name == *first);
                if is_known {
                    self.descend(at.clone(), path, depth)
                } else {
                    None
                }
            }
        }
    }

    fn descend(
        &self,
        mut at: ModulePath,
        path: &[String],
        depth: usize,
    ) -> Option<(ModulePath, bool)> {
        for (index, name) in path.iter().enumerate() {
            let mut child = at.clone();
            child.push(name.clone());
            if self.modules.contains_key(&child) {
                at = child;
                continue;
            }
            let module = self.modules.get(&at)?;
            if module.items.contains(name) {
                return Some((at, true));
            }
            let mut imports = module
                .imports
                .iter()
                .filter(|import| import.is_module_level);
            if let Some(import) = imports.clone().find(|import| import.name == *name) {
                let full: Vec<String> = import
                    .path
                    .iter()
                    .chain(&path[index + 1..])
                    .cloned()
                    .collect();
                return self.resolve(&at, &full, depth + 1);
            }
            let through_glob = imports.find_map(|import| {
                let (target, _) =
                    (import.name == "*").then(|| self.resolve(&at, &import.path, depth + 1))??;
                let known = self.modules.get(&target)?;
                let is_there = known.items.contains(name)
                    || known.imports.iter().any(|import| import.name == *name);
                is_there.then_some(target)
            });
            return match through_glob {
                Some(target) if depth < 8 => self.descend(target, &path[index..], depth + 1),
                _ => Some((at, true)),
            };
        }
        Some((at, false))
    }
}

/// Returns the module of a file: `mesh/claim/queue.rs` is `mesh::claim::queue`, `mesh/mod.rs` is `mesh`.
fn module_of_file(file: &str) -> ModulePath {
    let mut path: ModulePath = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if path.last().is_some_and(|last| last == "mod") || path == ["lib"] {
        path.pop();
    }
    path
}

/// Collects imports, items, child modules and paths. `is_module_level` is false inside of items.
fn scan(
    tokens: &[TokenTree],
    is_module_level: bool,
    module: &mut Module,
    inner: &mut Vec<(String, Vec<TokenTree>)>,
) {
    let mut index = 0;
    let mut is_public = false;
    while let Some(token) = tokens.get(index) {
        index += 1;
        let rest = &tokens[index..];
        if is_ident(token, "pub") {
            is_public = true;
            // `pub(in crate::mesh)` is no use of it.
            index += usize::from(
                rest.first()
                    .is_some_and(|next| group(next, Delimiter::Parenthesis).is_some()),
            );
            continue;
        }
        if is_ident(token, "use") && !rest.first().is_some_and(|next| is_punct(next, '<')) {
            let length = rest
                .iter()
                .take_while(|token| !is_punct(token, ';'))
                .count();
            let line = token.span().start().line;
            for (path, name) in use_tree(&rest[..length]) {
                module.imports.push(Import {
                    line,
                    path,
                    name,
                    is_public,
                    is_module_level,
                });
            }
            index += length;
        } else if is_ident(token, "mod") && is_module_level {
            let name = rest[0].to_string();
            match rest.get(1).and_then(|body| group(body, Delimiter::Brace)) {
                Some(body) => inner.push((name, body)),
                None => drop(module.children.insert(name)),
            }
            index += 2;
        } else {
            if is_module_level && is_item_keyword(token) {
                let name = rest.iter().find(|next| matches!(next, TokenTree::Ident(_)));
                module.items.extend(name.map(ToString::to_string));
            }
            index = scan_code(tokens, index - 1, module, inner);
        }
        is_public = false;
    }
}

fn is_item_keyword(token: &TokenTree) -> bool {
    [
        "struct",
        "enum",
        "trait",
        "union",
        "type",
        "fn",
        "const",
        "static",
        "macro_rules",
    ]
    .iter()
    .any(|keyword| is_ident(token, keyword))
}

/// Reads the path, the word or the group at an index. Returns the index behind it.
fn scan_code(
    tokens: &[TokenTree],
    at: usize,
    module: &mut Module,
    inner: &mut Vec<(String, Vec<TokenTree>)>,
) -> usize {
    match &tokens[at] {
        TokenTree::Group(group) => {
            scan(
                &group.stream().into_iter().collect::<Vec<_>>(),
                false,
                module,
                inner,
            );
            at + 1
        }
        TokenTree::Ident(first) => {
            let mut path = vec![first.to_string()];
            let mut next = at + 1;
            while let [a, b, TokenTree::Ident(name), ..] = &tokens[next..]
                && is_punct(a, ':')
                && is_punct(b, ':')
            {
                path.push(name.to_string());
                next += 3;
            }
            module.words.insert(path[0].clone());
            let is_continued = at >= 1
                && is_punct(&tokens[at - 1], ':')
                && at >= 2
                && is_punct(&tokens[at - 2], ':');
            if path.len() > 1 && !is_continued {
                module.paths.push((first.span().start().line, path));
            }
            next
        }
        _ => at + 1,
    }
}

/// Returns the full path of each name that a use tree brings in, and the name.
fn use_tree(tokens: &[TokenTree]) -> Vec<(ModulePath, String)> {
    let mut path = ModulePath::new();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        if let Some(inside) = group(token, Delimiter::Brace) {
            let parts = inside.split(|token| is_punct(token, ','));
            return parts
                .filter(|part| !part.is_empty())
                .flat_map(use_tree)
                .map(|(end, name)| {
                    let is_self = end == ["self"] && !path.is_empty();
                    let full: ModulePath = if is_self {
                        path.clone()
                    } else {
                        path.iter().chain(&end).cloned().collect()
                    };
                    let name = if name == "self" {
                        path.last().cloned().unwrap_or(name)
                    } else {
                        name
                    };
                    (full, name)
                })
                .collect();
        }
        if is_ident(token, "as") {
            return vec![(path, tokens[index + 1].to_string())];
        }
        if is_punct(token, '*') {
            return vec![(path, "*".to_owned())];
        }
        if let TokenTree::Ident(name) = token {
            path.push(name.to_string());
        }
        index += 1;
    }
    let name = path.last().cloned().unwrap_or_default();
    vec![(path, name)]
}

/// Returns the uses in these files as `from → to`.
#[cfg(test)]
fn usages(sources: &[(&str, &str)]) -> Vec<String> {
    let usages = Crate::read(sources.iter().copied()).usages();
    usages
        .iter()
        .map(|usage| format!("{} → {}", usage.from.join("::"), usage.to.join("::")))
        .collect()
}

#[test]
fn grouped_nested_and_renamed_imports_are_resolved() {
    let found = usages(&[
        ("a.rs", "use crate::{b::{self, c::{D, E as F}}, g::H};"),
        ("b/mod.rs", "pub mod c;"),
        ("b/c.rs", "pub struct D; pub struct E;"),
        ("g.rs", "pub struct H;"),
    ]);
    assert_eq!(found, ["a → b", "a → b::c", "a → g"]);
}

#[test]
fn relative_imports_and_inline_paths_are_resolved() {
    let found = usages(&[
        (
            "a/mod.rs",
            "mod b; mod c; mod d; fn f() { b::g(); self::c::g(); }",
        ),
        ("a/b.rs", "fn g() { println!(\"{}\", super::c::g()); }"),
        ("a/c.rs", "mod inner { use super::super::d::T; } fn g() {}"),
        (
            "a/d.rs",
            "pub struct T; fn g() -> crate::a::b::T { std::mem::take() }",
        ),
    ]);
    assert_eq!(
        found,
        [
            "a → a::b",
            "a → a::c",
            "a::b → a::c",
            "a::c → a::d",
            "a::d → a::b"
        ]
    );
}

#[test]
fn re_exports_lead_to_the_module_of_the_item() {
    let found = usages(&[
        (
            "a/mod.rs",
            "mod b; mod c; pub use b::T; pub use c::*; pub(in crate::a) fn own() {}",
        ),
        ("a/b.rs", "use super::{U, own}; pub struct T;"),
        ("a/c.rs", "use crate::a::T; pub struct U;"),
    ]);
    assert_eq!(found, ["a::b → a", "a::b → a::c", "a::c → a::b"]);
}

#[test]
fn a_re_export_that_the_module_uses_itself_counts() {
    let found = usages(&[
        ("a/mod.rs", "mod b; pub use b::{T, U}; fn f(_: T) {}"),
        ("a/b.rs", "pub struct T; pub struct U;"),
    ]);
    assert_eq!(found, ["a → a::b"]);
}

#[test]
fn test_code_and_comments_are_ignored() {
    let found = usages(&[
        (
            "a.rs",
            "// use crate::b::T;\n#[cfg(test)]\nmod tests { use crate::b::T; }\n#[test]\nfn t() { crate::b::f() }",
        ),
        (
            "b/mod.rs",
            "#[cfg(test)] mod c; pub struct T; #[cfg(all(test, unix))] use crate::a::S;",
        ),
        ("b/c.rs", "use crate::a::S;"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}
