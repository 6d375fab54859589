//! Translates statements from the SQL of SQLite, once for each statement: numbers and names of values, and a dozen words.

/// A statement for PostgreSQL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translation {
    pub(super) text: String,
    /// The names of its values by their numbers, if they have names.
    pub(super) names: Vec<String>,
}

/// Words with another name. `rowid` orders the rows of tables by their age, as their ids do.
const WORDS: [(&str, &str); 4] = [
    ("sqlite_sequence", "counter"),
    ("rowid", "id"),
    ("INTEGER", "BIGINT"),
    // A hint for the order of joins, always with a condition.
    ("CROSS", ""),
];

/// Functions of several values that have the name of an aggregate in SQLite.
const GREATEST: [(&str, &str); 2] = [("max", "greatest"), ("min", "least")];

/// Translates a statement.
pub(super) fn translate(sql: &str) -> Translation {
    let mut translator = Translator {
        rest: sql,
        text: String::with_capacity(sql.len() + 16),
        names: Vec::new(),
        closings: Vec::new(),
    };
    while translator.step() {}
    Translation {
        text: translator.text,
        names: translator.names,
    }
}

struct Translator<'a> {
    rest: &'a str,
    text: String,
    names: Vec<String>,
    /// What closes each open parenthesis.
    closings: Vec<&'static str>,
}

impl Translator<'_> {
    /// Translates the next part. Returns false at the end.
    fn step(&mut self) -> bool {
        let Some(next) = self.rest.chars().next() else {
            return false;
        };
        match next {
            '\'' => self.copy_quoted(),
            '?' => self.replace(1, "$"),
            ':' => self.translate_name(),
            '(' => {
                self.closings.push(")");
                self.replace(1, "(");
            }
            ')' => {
                let closing = self.closings.pop().unwrap_or(")");
                self.replace(1, closing);
            }
            // A hint for the planner of SQLite; an addition has a space on both sides.
            '+' if self.rest[1..].starts_with(is_word) => self.replace(1, ""),
            _ if is_word(next) => self.translate_word(),
            _ => self.copy(next.len_utf8()),
        }
        true
    }

    fn copy(&mut self, length: usize) {
        let (part, rest) = self.rest.split_at(length);
        self.text.push_str(part);
        self.rest = rest;
    }

    fn replace(&mut self, length: usize, with: &str) {
        self.text.push_str(with);
        self.rest = &self.rest[length..];
    }

    fn copy_quoted(&mut self) {
        let end = self.rest[1..]
            .find('\'')
            .map_or(self.rest.len(), |at| at + 2);
        self.copy(end);
    }

    /// A name gets the number of its first place.
    fn translate_name(&mut self) {
        let name_length = word_length(&self.rest[1..]);
        let name = &self.rest[..=name_length];
        let known = self.names.iter().position(|known| known == name);
        let position = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        self.replace(name_length + 1, &format!("${}", position + 1));
    }

    fn translate_word(&mut self) {
        let length = word_length(self.rest);
        let (word, after) = self.rest.split_at(length);
        if word == "INDEXED" {
            let hint = " BY ".len();
            self.rest = &after[hint + word_length(&after[hint..])..];
        } else if word == "json_each" {
            self.closings.push(" AS TEXT) AS jsonb))");
            self.replace(length + 1, "jsonb_array_elements_text(CAST(CAST(");
        } else if let Some((_, greatest)) = GREATEST
            .iter()
            .find(|(name, _)| *name == word && has_several_values(after))
        {
            self.replace(length, greatest);
        } else if let Some((_, other)) = WORDS.iter().find(|(name, _)| *name == word) {
            self.replace(length, other);
        } else {
            self.copy(length);
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn word_length(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// Returns whether a text begins with a list in parentheses of more than one value.
fn has_several_values(text: &str) -> bool {
    if !text.starts_with('(') {
        return false;
    }
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return false,
            ')' => depth -= 1,
            ',' if depth == 1 => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sql: &str) -> String {
        translate(sql).text
    }

    #[test]
    fn values_are_numbered_in_the_order_of_their_names() {
        let translation = translate("SELECT :b, :a, :b || ':a ?1' WHERE x = ?2");
        assert_eq!(
            translation.text,
            "SELECT $1, $2, $1 || ':a ?1' WHERE x = $2"
        );
        assert_eq!(translation.names, [":b", ":a"]);
    }

    #[test]
    fn words_of_sqlite_are_translated_and_others_kept() {
        assert_eq!(
            text(
                "SELECT max(a, (SELECT max(b) FROM t)) FROM task INDEXED BY task_open WHERE max_count > 1"
            ),
            "SELECT greatest(a, (SELECT max(b) FROM t)) FROM task  WHERE max_count > 1"
        );
        assert_eq!(
            text("SELECT value FROM json_each(:topics) t CROSS JOIN m ON true"),
            "SELECT value FROM jsonb_array_elements_text(CAST(CAST($1 AS TEXT) AS jsonb)) t  JOIN m ON true"
        );
        assert_eq!(
            text("SELECT a + b FROM t ORDER BY +name"),
            "SELECT a + b FROM t ORDER BY name"
        );
        assert_eq!(
            text("SELECT CAST(sum(x) AS INTEGER) FROM sqlite_sequence ORDER BY rowid"),
            "SELECT CAST(sum(x) AS BIGINT) FROM counter ORDER BY id"
        );
    }
}
