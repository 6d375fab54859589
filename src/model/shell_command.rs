//! Splits a shell command into the simple commands that it runs, as far as its text shows them.
//!
//! It is no shell: it expands nothing, and follows no alias, function or script. What only a shell can know keeps its text, so
//! that a caller sees a `$` in it. It is for the guard, which must be quick and may miss a command, but must not fail.
use std::path::{Path, PathBuf};

/// Commands in commands are followed to this depth.
const DEPTH_MAX: usize = 8;
/// Words that stand before a command and are none.
const KEYWORDS: [&str; 12] = [
    "if", "then", "else", "elif", "while", "until", "do", "!", "{", "}", "time", "coproc",
];
/// Programs that run the command in their arguments.
const LAUNCHERS: [&str; 14] = [
    "env", "command", "exec", "builtin", "nohup", "nice", "ionice", "setsid", "stdbuf", "timeout",
    "flock", "sudo", "xargs", "watch",
];
const SHELLS: [&str; 4] = ["sh", "bash", "dash", "zsh"];

/// A command without operators, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SimpleCommand {
    /// The assignments before it, as name and value.
    pub(super) assignments: Vec<(String, String)>,
    /// The program and its arguments, without quotes.
    pub(super) words: Vec<String>,
    /// The folder, relative to the one of the whole command, absolute, or below `~`.
    pub(super) folder: PathBuf,
}

/// Returns the simple commands of a shell command that start the program `name`, at any path and behind a launcher.
pub(super) fn commands_of_program(name: &str, script: &str) -> Vec<SimpleCommand> {
    let mut walk = Walk {
        name,
        folder: PathBuf::new(),
        found: Vec::new(),
        depth: 0,
    };
    if script.contains(name) {
        walk.script(script);
    }
    walk.found
}

/// Returns a folder after `cd`: one that only a shell can find out changes nothing.
pub(super) fn entered(folder: &Path, to: &str) -> PathBuf {
    let is_unknown = to.is_empty()
        || to.starts_with('-')
        || to.contains(['$', '`', '*'])
        || (to.starts_with('~') && to != "~" && !to.starts_with("~/"));
    if is_unknown {
        folder.to_owned()
    } else if to.starts_with('~') {
        PathBuf::from(to)
    } else {
        folder.join(to)
    }
}

/// Returns the last part of a program's path.
fn program_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The commands of a script, read from its begin, with the folder that `cd` has entered.
struct Walk<'a> {
    name: &'a str,
    folder: PathBuf,
    found: Vec<SimpleCommand>,
    depth: usize,
}

impl Walk<'_> {
    fn script(&mut self, script: &str) {
        if self.depth == DEPTH_MAX {
            return;
        }
        self.depth += 1;
        let mut words = Vec::new();
        let mut outer = Vec::new();
        for token in Lexer::new(script) {
            match token {
                Token::Word(word) => words.push(word),
                Token::Inner(script) => {
                    let folder = self.folder.clone();
                    self.script(&script);
                    self.folder = folder;
                }
                Token::End => self.command(&std::mem::take(&mut words)),
                Token::Open => {
                    self.command(&std::mem::take(&mut words));
                    outer.push(self.folder.clone());
                }
                Token::Close => {
                    self.command(&std::mem::take(&mut words));
                    if let Some(folder) = outer.pop() {
                        self.folder = folder;
                    }
                }
            }
        }
        self.command(&words);
        self.depth -= 1;
    }

    fn command(&mut self, words: &[String]) {
        let mut words = words;
        let mut assignments = Vec::new();
        while let [first, rest @ ..] = words {
            if let Some((name, value)) = assignment(first) {
                assignments.push((name.to_owned(), value.to_owned()));
            } else if !KEYWORDS.contains(&first.as_str()) {
                break;
            }
            words = rest;
        }
        let [program, arguments @ ..] = words else {
            return;
        };
        let program = program_name(program);
        if program == self.name {
            self.found.push(SimpleCommand {
                assignments,
                words: words.to_vec(),
                folder: self.folder.clone(),
            });
        } else if matches!(program, "cd" | "pushd") {
            let to = arguments
                .iter()
                .find(|word| !matches!(word.as_str(), "--" | "-P" | "-L"));
            self.folder = entered(&self.folder, to.map_or("~", String::as_str));
        } else if program == "eval" {
            self.script(&arguments.join(" "));
        } else if SHELLS.contains(&program) {
            self.shell(arguments);
        } else if LAUNCHERS.contains(&program) {
            let is_started = |word: &String| {
                let program = program_name(word);
                program == self.name || SHELLS.contains(&program)
            };
            if let Some(at) = arguments.iter().position(is_started) {
                let set = arguments[..at].iter().filter_map(|word| assignment(word));
                let set = set.map(|(name, value)| format!("{name}={value}"));
                let before = assignments
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"));
                let started: Vec<String> = before
                    .chain(set)
                    .chain(arguments[at..].iter().cloned())
                    .collect();
                self.command(&started);
            }
        }
    }

    /// Follows the script of `sh -c <script>`.
    fn shell(&mut self, arguments: &[String]) {
        let is_script =
            |word: &String| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
        let script = arguments.iter().position(is_script);
        if let Some(script) = script.and_then(|at| arguments.get(at + 1)) {
            let folder = self.folder.clone();
            self.script(script);
            self.folder = folder;
        }
    }
}

fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some((name, value))
}

enum Token {
    Word(String),
    /// The script of a command substitution.
    Inner(String),
    /// The end of a simple command.
    End,
    Open,
    Close,
}

/// Reads the tokens of a script.
struct Lexer<'a> {
    rest: &'a str,
    /// Tokens that stand before the rest.
    ready: Vec<Token>,
    /// The ends of the here-documents that begin with the next line.
    documents: Vec<String>,
    /// The next word is not one of the command.
    is_redirected: bool,
    document_follows: bool,
}

impl<'a> Lexer<'a> {
    fn new(script: &'a str) -> Self {
        Self {
            rest: script,
            ready: Vec::new(),
            documents: Vec::new(),
            is_redirected: false,
            document_follows: false,
        }
    }

    fn take(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    /// Reads an operator, or returns false.
    fn operator(&mut self, next: char) -> bool {
        match next {
            '\n' => {
                self.ready.push(Token::End);
                self.skip_documents();
            }
            '&' if self.rest.starts_with('>') => {}
            ';' | '|' | '&' => self.ready.push(Token::End),
            '(' => {
                self.is_redirected = false;
                self.ready.push(Token::Open);
            }
            ')' => self.ready.push(Token::Close),
            '<' | '>' => {
                let document =
                    next == '<' && self.rest.starts_with('<') && !self.rest.starts_with("<<");
                self.rest = self.rest.trim_start_matches(['<', '>', '&', '|']);
                if document {
                    self.rest = self.rest.strip_prefix('-').unwrap_or(self.rest);
                }
                self.document_follows = document;
                self.is_redirected = true;
            }
            _ => return false,
        }
        true
    }

    fn skip_documents(&mut self) {
        for end in std::mem::take(&mut self.documents) {
            while !self.rest.is_empty() {
                let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
                self.rest = rest;
                if line.trim_start_matches('\t') == end {
                    break;
                }
            }
        }
    }

    /// Reads a word that begins with `next`.
    fn word(&mut self, next: char) {
        let mut word = String::new();
        let mut next = Some(next);
        while let Some(character) = next {
            match character {
                '\\' => match self.take() {
                    None | Some('\n') => {}
                    Some(escaped) => word.push(escaped),
                },
                '\'' => {
                    let (quoted, rest) = self.rest.split_once('\'').unwrap_or((self.rest, ""));
                    word.push_str(quoted);
                    self.rest = rest;
                }
                '"' => self.quoted(&mut word),
                '`' | '$' => self.expansion(character, &mut word),
                other => word.push(other),
            }
            let ends = |c: char| c.is_ascii_whitespace() || ";&|()<>".contains(c);
            if self.rest.starts_with(ends) {
                break;
            }
            next = self.take();
        }
        let is_descriptor = self.rest.starts_with(['<', '>'])
            && !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_digit());
        if std::mem::take(&mut self.document_follows) {
            self.documents.push(word);
        } else if !std::mem::take(&mut self.is_redirected) && !is_descriptor {
            self.ready.push(Token::Word(word));
            return;
        }
        self.is_redirected = false;
    }

    fn quoted(&mut self, word: &mut String) {
        while let Some(character) = self.take() {
            match character {
                '"' => return,
                '\\' if self.rest.starts_with(['"', '\\', '$', '`', '\n']) => {
                    word.extend(self.take().filter(|escaped| *escaped != '\n'));
                }
                '`' | '$' => self.expansion(character, word),
                other => word.push(other),
            }
        }
    }

    /// Reads what follows a `$` or a backquote: the script of a substitution is a token of its own.
    fn expansion(&mut self, first: char, word: &mut String) {
        word.push('$');
        let end = match first {
            '`' => self.rest.find('`'),
            _ if self.rest.starts_with('(') => {
                self.take();
                closing_parenthesis(self.rest)
            }
            _ => return,
        };
        let inner = &self.rest[..end.unwrap_or(self.rest.len())];
        self.ready.push(Token::Inner(inner.to_owned()));
        self.rest = end.map_or("", |end| &self.rest[end + 1..]);
    }
}

/// Returns where the parenthesis closes that is open before the text, as far as quotes and here-documents show it.
fn closing_parenthesis(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut quote = None;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            _ if std::mem::take(&mut escaped) => {}
            (Some(open), _) if byte == open => quote = None,
            (None | Some(b'"'), b'\\') => escaped = true,
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            if !self.ready.is_empty() {
                return Some(self.ready.remove(0));
            }
            let next = self.take()?;
            match next {
                ' ' | '\t' | '\r' => {}
                '\\' if self.rest.starts_with('\n') => self.rest = &self.rest[1..],
                '#' => self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..],
                next if self.operator(next) => {}
                next => self.word(next),
            }
        }
    }
}
