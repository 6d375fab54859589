//! Signs a browser in: a link with a token that is used once, exchanged for a key of its own.
use std::time::Duration;

use crate::mesh::access_key::key_text::{random_token, sha256};
use crate::mesh::access_key::keys::{KeyDraft, create_key};
use crate::mesh::connection::Mesh;
use crate::model::Result;
use crate::model::access_key::{AccessKey, KeyHolder, KeyScope, LinkProblem};

/// How long a link can be used, in milliseconds.
const LINK_LIFETIME_MS: i64 = 60_000;
/// How long a board stays signed in.
const BOARD_LIFETIME: Duration = Duration::from_secs(12 * 3600);

impl Mesh {
    /// Creates a sign-in link. Returns its token, which can be used once within 60 seconds and is stored nowhere.
    pub fn create_board_link(&mut self) -> Result<String> {
        let token = random_token()?;
        self.write(|write| {
            let expires_at_ms = write.tx.now.wall_ms + LINK_LIFETIME_MS;
            write
                .tx
                .insert_board_link(&sha256(token.as_bytes()), expires_at_ms)?;
            Ok(())
        })?;
        Ok(token)
    }

    /// Exchanges the token of a link for a key of a board, which is valid for 12 hours. Returns the text of the key, which is
    /// shown once, and the key; or why the token is refused.
    pub fn redeem_board_link(
        &mut self,
        token: &str,
    ) -> Result<std::result::Result<(String, AccessKey), LinkProblem>> {
        let hash = sha256(token.as_bytes());
        self.write(|write| {
            if let Some(problem) = write.tx.use_board_link(&hash)? {
                return Ok(Err(problem));
            }
            let draft = KeyDraft {
                holder: KeyHolder::Board,
                scope: KeyScope::Admin,
                project: None,
                lifetime: Some(BOARD_LIFETIME),
            };
            create_key(write, &draft).map(Ok)
        })
    }
}
