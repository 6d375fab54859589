//! The JSON body of a request of a program on another host.
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::hub::api_error::ApiError;
use crate::model::Refusal;

/// The JSON body of a request.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let invalid = |problem: String| {
            ApiError::from(Refusal::argument(format!(
                "the body is unusable: {problem}"
            )))
        };
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|error| invalid(error.body_text()))?;
        let body = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        Ok(Self(body))
    }
}
