//! Checks the texts of questions and answers before anything is stored: not empty, not too large, no secret.
use crate::model::question::TEXT_BYTES_MAX;
use crate::model::text_checks::{check_secret, check_size};
use crate::model::{Refusal, Result};

/// Refuses a text that has fewer than `min_bytes` bytes, is too large, or, without `force`, looks like a secret.
pub(in crate::mesh) fn check_text(
    parameter: &str,
    text: &str,
    min_bytes: usize,
    force: bool,
) -> Result<()> {
    if text.trim().len() < min_bytes {
        return Err(Refusal::argument(format!("\"{parameter}\" is empty")).into());
    }
    check_size(parameter, text, TEXT_BYTES_MAX)?;
    if !force {
        check_secret(parameter, text)?;
    }
    Ok(())
}
