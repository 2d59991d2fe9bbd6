//! The one place that turns what went wrong into a status and a body.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracing::error;
use weft_api::view::{ErrorBody, Problem};

use crate::change::Refused;
use crate::engine::EngineError;

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problems: Vec<Problem>,
}

impl Refusal {
    pub(super) const fn new(status: StatusCode, problems: Vec<Problem>) -> Self {
        Self { status, problems }
    }

    pub(super) fn one(status: StatusCode, object: impl ToString, message: impl ToString) -> Self {
        Self::new(status, vec![Problem { object: object.to_string(), message: message.to_string() }])
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let all = |ids: Vec<_>, message: &str| {
            let problem = |id: weft_api::kind::Reference| Problem {
                object: id.to_string(),
                message: message.to_owned(),
            };
            ids.into_iter().map(problem).collect()
        };
        match error {
            EngineError::Refused(Refused::Missing(ids)) => {
                Self::new(StatusCode::NOT_FOUND, all(ids, "it does not exist"))
            }
            EngineError::Refused(Refused::Exists(ids)) => Self::new(
                StatusCode::CONFLICT,
                all(ids, "it exists already; replace it, or choose another name"),
            ),
            EngineError::Refused(Refused::Needed(problems) | Refused::Elsewhere(problems)) => {
                Self::new(StatusCode::CONFLICT, problems)
            }
            EngineError::Refused(Refused::Invalid(problems)) | EngineError::Kernel(problems) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, problems)
            }
            EngineError::Missing(id) => Self::one(StatusCode::NOT_FOUND, id, "it does not exist"),
            EngineError::Gone(gone) => Self::one(StatusCode::GONE, "watch", gone),
            EngineError::Store(error) => Self::one(StatusCode::INTERNAL_SERVER_ERROR, "store", error),
            EngineError::Observe(error) => Self::one(StatusCode::INTERNAL_SERVER_ERROR, "kernel", error),
            EngineError::Teardown(problems) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, problems),
            EngineError::Stopped => {
                let message = "it is stopping; ask again when it is back";
                Self::one(StatusCode::SERVICE_UNAVAILABLE, "weftd", message)
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            for problem in &self.problems {
                error!(object = problem.object, cause = problem.message, "request failed");
            }
        }
        (self.status, Json(ErrorBody { errors: self.problems })).into_response()
    }
}
