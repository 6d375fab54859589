//! Positions of columns in the list of a `SELECT`, found by name while the program is compiled.
//!
//! Rows of questions, peers and sessions are read in every operation. `Row::get` with a name compares it with every column
//! of the row, which was half of the time of `Mesh::inbox`; a position found at compile time costs nothing and is as safe: a
//! name that the list does not have does not compile. The rows of other tables are read by name at run time.

/// Returns the position of `name` in a list of columns such as `q.id, octet_length(m.body) AS bytes`. The name of an item is
/// the text after its last space or dot; an item has no comma. Does not compile if no item has this name.
pub(super) const fn position(list: &str, name: &str) -> usize {
    let bytes = list.as_bytes();
    let (mut index, mut start, mut at) = (0, 0, 0);
    while at <= bytes.len() {
        if at == bytes.len() || bytes[at] == b',' {
            if is_equal(bytes, start, at, name.as_bytes()) {
                return index;
            }
            index += 1;
            start = at + 1;
        } else if bytes[at] == b' ' || bytes[at] == b'.' {
            start = at + 1;
        }
        at += 1;
    }
    panic!("the list has no column of this name")
}

/// Returns how many columns a list has.
pub(super) const fn count(list: &str) -> usize {
    let bytes = list.as_bytes();
    let (mut count, mut at) = (1, 0);
    while at < bytes.len() {
        if bytes[at] == b',' {
            count += 1;
        }
        at += 1;
    }
    count
}

const fn is_equal(bytes: &[u8], start: usize, end: usize, name: &[u8]) -> bool {
    if end - start != name.len() {
        return false;
    }
    let mut at = 0;
    while at < name.len() {
        if bytes[start + at] != name[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The position of a column in a list, or in a list that follows `after` another one.
macro_rules! column {
    ($list:expr, $name:literal) => {
        const { $crate::store::columns::position($list, $name) }
    };
    (after $first:expr, $list:expr, $name:literal) => {
        const { $crate::store::columns::count($first) + $crate::store::columns::position($list, $name) }
    };
}

pub(super) use column;

#[cfg(test)]
mod tests {
    use super::{count, position};

    #[test]
    fn column_position_ignores_table_and_expression() {
        let list = "q.id, name, octet_length(m.body) AS bytes";
        assert_eq!(position(list, "id"), 0);
        assert_eq!(position(list, "name"), 1);
        assert_eq!(position(list, "bytes"), 2);
        assert_eq!(count(list), 3);
    }
}
