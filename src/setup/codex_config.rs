//! Edits the configuration of the Codex CLI, which is TOML: adds the server entry as its own table at the end, and removes it.
//! Every other byte stays.
//!
//! The text is edited line by line, and what both versions mean is compared afterwards: a file in a form that this does not
//! know, such as an inline table, is refused and not damaged.
use toml::{Table, Value};

use super::entries::SERVER_NAME;
use super::parse_error::ParseError;

const SERVERS: &str = "mcp_servers";

/// Returns the text with this table, which begins with its header. Of a table that is there only the command is replaced.
pub(crate) fn with_server(text: &str, table: &str) -> Result<String, ParseError> {
    let before = parse(text)?;
    let wanted = server_of(&parse(table)?).cloned();
    let Some(current) = server_of(&before) else {
        let after = match text {
            "" => table.to_owned(),
            text if text.ends_with('\n') => format!("{text}\n{table}"),
            // The end of the last line tells the removal how the file ended.
            text => format!("{text}\n\n{}", table.trim_end()),
        };
        return checked(after, &before, wanted.as_ref());
    };
    let command = wanted.as_ref().and_then(|server| server.get("command"));
    if current.get("command") == command {
        return Ok(text.to_owned());
    }
    let mut expected = current.clone();
    if let (Value::Table(expected), Some(command)) = (&mut expected, command) {
        expected.insert("command".into(), command.clone());
    }
    let after = command.and_then(|command| with_command(text, command));
    checked(
        after.ok_or_else(|| unknown_form(text))?,
        &before,
        Some(&expected),
    )
}

/// Returns the text without the table of the server.
pub(crate) fn without_server(text: &str) -> Result<String, ParseError> {
    let before = parse(text)?;
    if server_of(&before).is_none() {
        return Ok(text.to_owned());
    }
    let mut after = text.to_owned();
    while let Some((start, end)) = own_lines(&after) {
        let ended_there = end == after.len() && !after.ends_with('\n');
        after.replace_range(start..end, "");
        // The empty line that the install has added before the table.
        if after[..start].ends_with("\n\n") {
            after.remove(start - 1);
        }
        if ended_there && after.ends_with('\n') {
            after.pop();
        }
    }
    checked(after, &before, None)
}

/// Returns the text, if it means the same as before with this entry of the server.
fn checked(after: String, before: &Table, wanted: Option<&Value>) -> Result<String, ParseError> {
    let mut expected = before.clone();
    let servers = expected
        .entry(SERVERS)
        .or_insert_with(|| Table::new().into());
    let mut only_own = false;
    if let Value::Table(servers) = servers {
        servers.remove(SERVER_NAME);
        servers.extend(wanted.map(|wanted| (SERVER_NAME.to_owned(), wanted.clone())));
        only_own = servers.is_empty();
    }
    if only_own {
        expected.remove(SERVERS);
    }
    let mut found = parse(&after).map_err(|_| unknown_form(&after))?;
    if only_own
        && found
            .get(SERVERS)
            .and_then(Value::as_table)
            .is_some_and(Table::is_empty)
    {
        found.remove(SERVERS);
    }
    if found == expected {
        Ok(after)
    } else {
        Err(unknown_form(&after))
    }
}

fn unknown_form(text: &str) -> ParseError {
    let line = text.lines().position(|line| line.contains(SERVERS));
    let line = line.unwrap_or(0);
    ParseError {
        line: line + 1,
        column: 1,
        reason: format!(
            "{SERVERS} is in a form that is not edited here; `--print codex` shows the entry"
        ),
    }
}

fn parse(text: &str) -> Result<Table, ParseError> {
    text.parse().map_err(|fault: toml::de::Error| {
        let offset = fault.span().map_or(0, |span| span.start);
        ParseError::at_offset(text, offset.min(text.len()), fault.message().to_owned())
    })
}

fn server_of(table: &Table) -> Option<&Value> {
    table.get(SERVERS)?.get(SERVER_NAME)
}

/// Returns whether a line is the header of the table of the server, or of a table in it; `None` if it is no header.
fn is_own_header(line: &str) -> Option<bool> {
    if !line.trim_start().starts_with('[') {
        return None;
    }
    let header: Table = line.parse().ok()?;
    let is_own = server_of(&header).is_some();
    Some(is_own)
}

/// Returns where the first table of the server begins and ends. Comments before the next header belong to that.
fn own_lines(text: &str) -> Option<(usize, usize)> {
    let (mut start, mut end) = (None, 0);
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        match (is_own_header(line), start) {
            (Some(true), None) => start = Some(offset),
            (Some(_), Some(start)) => return Some((start, end)),
            _ => {}
        }
        offset += line.len();
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') {
            end = offset;
        }
    }
    start.map(|start| (start, end))
}

/// Returns the text with another command in the table of the server.
fn with_command(text: &str, command: &Value) -> Option<String> {
    let (start, end) = own_lines(text)?;
    let mut offset = start;
    for line in text[start..end].split_inclusive('\n') {
        let is_command = line
            .split_once('=')
            .is_some_and(|(key, _)| key.trim() == "command");
        if is_command {
            let newline = &line[line.trim_end_matches(['\r', '\n']).len()..];
            // A JSON string is a TOML string as well.
            let command = serde_json::Value::from(command.as_str()?);
            let mut after = text.to_owned();
            after.replace_range(
                offset..offset + line.len(),
                &format!("command = {command}{newline}"),
            );
            return Some(after);
        }
        offset += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "[mcp_servers.claude-mesh]\ncommand = \"/opt/s\"\nargs = []\n# long\ntool_timeout_sec = 3660\n";

    #[test]
    fn every_other_byte_of_a_codex_config_stays() {
        for text in [
            "",
            "model = \"x\"\n",
            "model = \"x\"",
            "model = 'x' # mine\r\n\r\n[mcp_servers.other]\r\ncommand = \"o\"\r\n",
            "# only a comment\n\n\n",
            "[a]\nb = \"\"\"\n[mcp_servers.claude-mesh]\ncommand = 1\n\"\"\"\n",
            "[mcp_servers]\n\n[mcp_servers.other]\ncommand = \"o\"",
        ] {
            let with = with_server(text, TABLE);
            if text.contains("\"\"\"") {
                assert_eq!(without_server(&with.unwrap()).unwrap_err().column, 1);
                continue;
            }
            let with = with.unwrap();
            assert!(with.starts_with(text), "{text:?}");
            assert_eq!(with_server(&with, TABLE).unwrap(), with);
            assert_eq!(without_server(&with).unwrap(), text);
        }
    }

    #[test]
    fn what_the_user_added_to_the_entry_or_after_it_stays() {
        let text = format!(
            "a = 1\n\n{TABLE}startup_timeout_sec = 9\n\n[mcp_servers.claude-mesh.env]\nA = \"b\"\n\n# next\n[z]\nb = 2\n"
        );
        let moved = with_server(&text, &TABLE.replace("/opt/s", "/new/s")).unwrap();
        assert_eq!(moved, text.replace("\"/opt/s\"", "\"/new/s\""));
        assert_eq!(
            without_server(&text).unwrap(),
            "a = 1\n\n# next\n[z]\nb = 2\n"
        );
    }

    #[test]
    fn other_forms_and_broken_files_are_refused() {
        for text in [
            "mcp_servers = { claude-mesh = { command = \"x\" } }\n",
            "mcp_servers = {}\n",
            "[mcp_servers]\nclaude-mesh = { command = \"x\" }\n",
            "mcp_servers = 5\n",
        ] {
            let refused = with_server(text, TABLE).unwrap_err();
            assert!(refused.reason.contains("--print codex"), "{refused:?}");
        }
        let broken = with_server("a = 1\nb = \n", TABLE).unwrap_err();
        assert_eq!(broken.line, 2, "{broken:?}");
    }
}
