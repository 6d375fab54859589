//! What a traced program has done with its files, out of the text of strace.
use std::collections::HashMap;

/// One step of the program, when it was complete.
#[derive(Debug)]
pub(super) enum Step {
    /// A file was opened that may be new.
    Create {
        path: String,
        is_emptied: bool,
    },
    Write {
        path: String,
        offset: usize,
        data: Vec<u8>,
    },
    Truncate {
        path: String,
        length: usize,
    },
    /// A file or a folder was flushed.
    Sync {
        path: String,
    },
    Link {
        from: String,
        to: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    /// The program has written this to a pipe: its client reads one.
    Output(Vec<u8>),
}

/// The calls that change files, or say what was acknowledged.
pub(super) const CALLS: &str = "trace=open,openat,pwrite64,write,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,\
    linkat,unlink,unlinkat";

/// Returns the steps of a trace with the paths of descriptors and all texts in hexadecimal.
pub(super) fn steps(trace: &str) -> Vec<Step> {
    let mut unfinished: HashMap<&str, String> = HashMap::new();
    let mut steps = Vec::new();
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, begun.to_owned());
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let (_, rest) = rest.split_once(" resumed>").unwrap();
            let begun = unfinished.remove(pid).unwrap_or_default();
            steps.extend(step(&format!("{begun}{rest}")));
        } else {
            steps.extend(step(call));
        }
    }
    steps
}

/// Returns what a call did; nothing if it failed or is of no interest.
fn step(call: &str) -> Option<Step> {
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    let (texts, path) = (quoted(arguments), descriptor_path(arguments));
    let text = |index: usize| Some(String::from_utf8_lossy(texts.get(index)?).into_owned());
    let last_number = || {
        // The result of a call that was interrupted by another thread is aligned with spaces.
        arguments
            .trim_end()
            .trim_end_matches(')')
            .rsplit_once(", ")?
            .1
            .parse()
            .ok()
    };
    Some(match name {
        "open" | "openat" if arguments.contains("O_CREAT") || arguments.contains("O_TRUNC") => {
            Step::Create {
                path: text(0)?,
                is_emptied: arguments.contains("O_TRUNC"),
            }
        }
        "write" | "writev" if path.as_ref()?.starts_with("pipe:") => Step::Output(texts.concat()),
        "pwrite64" => Step::Write {
            path: path?,
            offset: last_number()?,
            data: texts.into_iter().next()?,
        },
        "ftruncate" => Step::Truncate {
            path: path?,
            length: last_number()?,
        },
        "fsync" | "fdatasync" => Step::Sync { path: path? },
        "link" | "linkat" => Step::Link {
            from: text(0)?,
            to: text(1)?,
        },
        "rename" | "renameat" | "renameat2" => Step::Rename {
            from: text(0)?,
            to: text(1)?,
        },
        "unlink" | "unlinkat" => Step::Remove { path: text(0)? },
        _ => return None,
    })
}

/// Returns the path of the descriptor that is the first argument. A file whose name was removed has its last one.
fn descriptor_path(arguments: &str) -> Option<String> {
    let path = arguments.split_once('<')?.1.split_once('>')?.0;
    let path = String::from_utf8_lossy(&unescaped(path)).into_owned();
    Some(path.trim_end_matches(" (deleted)").to_owned())
}

fn quoted(arguments: &str) -> Vec<Vec<u8>> {
    let parts = arguments.split('"').skip(1).step_by(2);
    parts.map(unescaped).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len() / 4), text);
    while !rest.is_empty() {
        let digits = rest.strip_prefix("\\x").and_then(|rest| rest.get(..2));
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &rest[4..];
        } else {
            bytes.push(rest.as_bytes()[0]);
            rest = &rest[1..];
        }
    }
    bytes
}
