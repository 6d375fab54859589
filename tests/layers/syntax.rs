//! Reads Rust sources as token trees: enough to find imports, types, functions and identifiers, without a compiler.
//!
//! A token tree has balanced brackets and no comments, so a word in a comment or in a string is never mistaken for code.
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Parses a source. Items that only tests compile are left out.
pub(super) fn parse_without_tests(text: &str) -> Vec<TokenTree> {
    drop_test_items(parse(text))
}

/// Parses a source with everything in it.
pub(super) fn parse(text: &str) -> Vec<TokenTree> {
    let stream: TokenStream = text.parse().expect("the source is Rust");
    stream.into_iter().collect()
}

/// Leaves out each item, statement or field that carries `#[cfg(test)]` or `#[test]`.
fn drop_test_items(tokens: Vec<TokenTree>) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let is_test = is_punct(&token, '#') && rest.peek().is_some_and(is_test_attribute);
        if is_test {
            rest.by_ref().find(is_end_of_item);
        } else if let TokenTree::Group(group) = token {
            let inside = drop_test_items(group.stream().into_iter().collect());
            let mut smaller = Group::new(group.delimiter(), inside.into_iter().collect());
            smaller.set_span(group.span());
            kept.push(TokenTree::Group(smaller));
        } else {
            kept.push(token);
        }
    }
    kept
}

fn is_end_of_item(token: &TokenTree) -> bool {
    is_punct(token, ';') || is_punct(token, ',') || group(token, Delimiter::Brace).is_some()
}

fn is_test_attribute(token: &TokenTree) -> bool {
    let Some(inside) = group(token, Delimiter::Bracket) else {
        return false;
    };
    match inside.as_slice() {
        [only] => is_ident(only, "test"),
        [name, arguments] => {
            let arguments = arguments.to_string();
            is_ident(name, "cfg") && (arguments == "(test)" || arguments.contains("all (test"))
        }
        _ => false,
    }
}

/// A function with its length from the line of its name to its last line, and its parameters without `self`.
#[derive(Debug, PartialEq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) lines: usize,
    pub(super) parameters: usize,
    pub(super) is_test: bool,
}

/// Returns the functions of a source, those in other items and functions included.
pub(super) fn functions(tokens: &[TokenTree]) -> Vec<Function> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if is_ident(token, "fn")
            && let Some(function) = function(&tokens[..index], &tokens[index + 1..])
        {
            found.push(function);
        }
        if let TokenTree::Group(group) = token {
            found.extend(functions(&group.stream().into_iter().collect::<Vec<_>>()));
        }
    }
    found
}

fn function(before: &[TokenTree], after: &[TokenTree]) -> Option<Function> {
    let TokenTree::Ident(name) = after.first()? else {
        return None;
    };
    let parameters = outside_angles(after)
        .into_iter()
        .find_map(|token| group(token, Delimiter::Parenthesis))?;
    let last = after.iter().find(|token| {
        is_punct(token, ';')
            || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
    })?;
    Some(Function {
        name: name.to_string(),
        lines: last.span().end().line - name.span().start().line + 1,
        parameters: count_parameters(&parameters),
        is_test: before
            .iter()
            .rev()
            .take_while(|token| !is_punct(token, ';') && group(token, Delimiter::Brace).is_none())
            .any(|token| {
                group(token, Delimiter::Bracket)
                    .is_some_and(|inside| inside.len() == 1 && is_ident(&inside[0], "test"))
            }),
    })
}

fn count_parameters(tokens: &[TokenTree]) -> usize {
    let parameters = split_at_commas(tokens);
    parameters
        .iter()
        .filter(|parameter| {
            !parameter
                .iter()
                .take_while(|token| !is_punct(token, ':'))
                .any(|token| is_ident(token, "self"))
        })
        .count()
}

fn split_at_commas(tokens: &[TokenTree]) -> Vec<Vec<&TokenTree>> {
    let mut parts = vec![Vec::new()];
    let mut depth = 0_i32;
    let mut previous = None;
    for token in tokens {
        depth += angle(previous, token);
        previous = Some(token);
        if depth == 0 && is_punct(token, ',') {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(token);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn outside_angles(tokens: &[TokenTree]) -> Vec<&TokenTree> {
    let mut depth = 0_i32;
    let mut previous = None;
    let mut found = Vec::new();
    for token in tokens {
        depth += angle(previous, token);
        previous = Some(token);
        if depth == 0 {
            found.push(token);
        }
    }
    found
}

/// Returns by how much a token changes the depth of generic parameters. The `>` of an arrow does not.
fn angle(previous: Option<&TokenTree>, token: &TokenTree) -> i32 {
    let is_arrow = previous.is_some_and(|previous| is_punct(previous, '-'));
    i32::from(is_punct(token, '<')) - i32::from(is_punct(token, '>') && !is_arrow)
}

/// Returns the types that a module declares as `pub` or `pub(crate)`; those of modules within it too.
pub(super) fn public_types(tokens: &[TokenTree]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let is_type = ["struct", "enum", "trait"]
            .iter()
            .any(|keyword| is_ident(token, keyword));
        let (before, after) = (&tokens[..index], &tokens[index + 1..]);
        if is_type && is_public(before) {
            found.extend(after.first().map(ToString::to_string));
        }
        if is_ident(token, "mod")
            && let Some(inside) = after.get(1).and_then(|body| group(body, Delimiter::Brace))
        {
            found.extend(public_types(&inside));
        }
    }
    found
}

fn is_public(before: &[TokenTree]) -> bool {
    match before {
        [.., last] if is_ident(last, "pub") => true,
        [.., first, last] => {
            is_ident(first, "pub")
                && group(last, Delimiter::Parenthesis)
                    .is_some_and(|inside| inside.len() == 1 && is_ident(&inside[0], "crate"))
        }
        _ => false,
    }
}

/// Returns every identifier of a source once, in order.
pub(super) fn identifiers(tokens: &[TokenTree]) -> std::collections::BTreeSet<String> {
    let mut found = std::collections::BTreeSet::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                found.insert(ident.to_string());
            }
            TokenTree::Group(group) => {
                found.extend(identifiers(&group.stream().into_iter().collect::<Vec<_>>()));
            }
            _ => {}
        }
    }
    found
}

pub(super) fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

pub(super) fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

/// Returns what is inside a group with this delimiter.
pub(super) fn group(token: &TokenTree, delimiter: Delimiter) -> Option<Vec<TokenTree>> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => {
            Some(group.stream().into_iter().collect())
        }
        _ => None,
    }
}
