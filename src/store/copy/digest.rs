//! A digest of the rows of a table that is the same in whatever order they are read.
use rusqlite::types::Value;
use sha2::{Digest, Sha256};

/// The number of rows and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TableDigest {
    pub(super) rows: u64,
    sum: [u64; 4],
}

impl TableDigest {
    /// Adds a row. Each value is hashed with its type and its length, so that no two rows have the same bytes.
    pub(super) fn add(&mut self, row: &[Value]) {
        let mut hasher = Sha256::new();
        for value in row {
            let number;
            let (kind, bytes): (u8, &[u8]) = match value {
                Value::Null => (0, &[]),
                Value::Integer(integer) => {
                    number = integer.to_be_bytes();
                    (1, &number)
                }
                Value::Real(real) => {
                    number = real.to_be_bytes();
                    (2, &number)
                }
                Value::Text(text) => (3, text.as_bytes()),
                Value::Blob(blob) => (4, blob),
            };
            hasher.update([kind]);
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        }
        let hash = hasher.finalize();
        for (lane, part) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            let part = part.try_into().expect("a chunk has eight bytes");
            *lane = lane.wrapping_add(u64::from_be_bytes(part));
        }
        self.rows += 1;
    }

    /// Returns the digest as hexadecimal digits.
    pub(super) fn text(&self) -> String {
        let [a, b, c, d] = self.sum;
        format!("{a:016x}{b:016x}{c:016x}{d:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Value]]) -> TableDigest {
        let mut digest = TableDigest::default();
        for row in rows {
            digest.add(row);
        }
        digest
    }

    #[test]
    fn digest_depends_on_the_rows_and_not_on_their_order() {
        let (a, b) = (
            [Value::from("a".to_owned()), Value::Null],
            [Value::from(1), Value::from(2)],
        );
        assert_eq!(digest(&[&a, &b]), digest(&[&b, &a]));
        assert_ne!(digest(&[&a, &b]), digest(&[&a, &a]));
        let joined = [Value::from("ab".to_owned()), Value::from(String::new())];
        let split = [Value::from("a".to_owned()), Value::from("b".to_owned())];
        assert_ne!(digest(&[&joined]), digest(&[&split]));
    }
}
