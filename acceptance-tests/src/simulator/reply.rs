//! Answers of the API: data, the kinds of failure, and their form on the wire.
//!
//! Which failure a call ends in is not decided here.

use axum::body::Body;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value as Json, json};

use super::rules::check::Errors;

/// The good end of a call: `data`, and what stands beside it (`total`).
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) data: Json,
    pub(crate) beside: Map<String, Json>,
    /// The headers of the answer, if the connection becomes a websocket.
    pub(crate) switch: Option<HeaderMap>,
}

impl Reply {
    /// Nothing to tell.
    pub(crate) fn null() -> Self {
        Json::Null.into()
    }

    /// Adds a key beside `data`.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.beside.insert(key.to_owned(), value.into());
        self
    }
}

impl From<Json> for Reply {
    fn from(data: Json) -> Self {
        Self {
            data,
            beside: Map::new(),
            switch: None,
        }
    }
}

/// The bad end of a call.
#[derive(Clone, Debug)]
pub(crate) enum Fail {
    /// 400 with the violations by parameter.
    Params(Errors),
    /// 500 with a text.
    Died(String),
    /// 500 with a text, and violations by key of a property string.
    Broken(String, Errors),
    /// 403 with what is missing, such as `/vms/100, VM.Audit`.
    Denied(String),
    /// 401 that comes with a body.
    NoLogin,
    /// Any status with its reason; the body is empty, or the reason, or JSON.
    Other {
        status: u16,
        reason: String,
        body: OtherBody,
    },
    /// The connection ends without an answer.
    Dropped,
    /// No answer ever comes, and the connection stays.
    Unanswered,
}

/// The body of an unusual failure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OtherBody {
    Empty,
    Reason,
    Json,
}

/// How a call ends.
pub(crate) type Outcome = Result<Reply, Fail>;

impl Fail {
    /// 500 with `text`.
    pub(crate) fn died(text: impl Into<String>) -> Self {
        Self::Died(text.into())
    }

    /// 400 about one parameter.
    pub(crate) fn param(name: &str, text: impl Into<String>) -> Self {
        Self::Params(Errors::from([(name.to_owned(), text.into())]))
    }

    /// 403 without detail.
    pub(crate) fn denied() -> Self {
        Self::Denied(String::new())
    }

    /// A protocol error whose reason is also its body.
    pub(crate) fn plain(status: u16, reason: &str) -> Self {
        Self::Other {
            status,
            reason: reason.to_owned(),
            body: OtherBody::Reason,
        }
    }

    /// A failure that only has a reason.
    pub(crate) fn bare(status: u16, reason: &str) -> Self {
        Self::Other {
            status,
            reason: reason.to_owned(),
            body: OtherBody::Empty,
        }
    }

    /// The text as a task would end with it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Params(errors) => {
                let all: Vec<String> = errors.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                format!("Parameter verification failed.  {}", all.join(" "))
            }
            Self::Died(text) | Self::Broken(text, _) => {
                text.replace('\n', " ").trim_end().to_owned()
            }
            Self::Denied(detail) if detail.is_empty() => "Permission check failed".to_owned(),
            Self::Denied(detail) => format!("Permission check failed ({detail})"),
            Self::NoLogin => "authentication failure".to_owned(),
            Self::Other { reason, .. } => reason.clone(),
            Self::Dropped => "connection dropped".to_owned(),
            Self::Unanswered => "no answer".to_owned(),
        }
    }

    /// The status code.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Params(_) => 400,
            Self::Died(_) | Self::Broken(..) => 500,
            Self::Denied(_) => 403,
            Self::NoLogin => 401,
            Self::Other { status, .. } => *status,
            Self::Dropped | Self::Unanswered => 0,
        }
    }
}

/// The HTTP answer; `None` means that the connection is dropped.
pub(crate) fn respond(outcome: &Outcome, with_message: bool) -> Option<Response<Body>> {
    let fail = match outcome {
        Ok(Reply {
            switch: Some(headers),
            ..
        }) => {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *answer.headers_mut() = headers.clone();
            return Some(answer);
        }
        Ok(reply) => {
            let mut body = reply.beside.clone();
            body.insert("data".to_owned(), reply.data.clone());
            return Some(response(200, None, Some(&Json::Object(body))));
        }
        Err(Fail::Dropped | Fail::Unanswered) => return None,
        Err(fail) => fail,
    };
    let (text, mut body) = match fail {
        Fail::Params(errors) => (
            "Parameter verification failed.".to_owned(),
            json!({"data": null, "errors": errors}),
        ),
        Fail::Other {
            status,
            reason,
            body,
        } => match body {
            OtherBody::Json => {
                let body = json!({"data": null, "message": reason});
                return Some(response(*status, Some(reason), Some(&body)));
            }
            OtherBody::Empty => return Some(response(*status, Some(reason), None)),
            OtherBody::Reason => {
                let mut answer = response(*status, Some(reason), None);
                *answer.body_mut() = Body::from(reason.clone());
                return Some(answer);
            }
        },
        Fail::Died(text) => (
            text.trim_end_matches('\n').to_owned(),
            json!({"data": null}),
        ),
        Fail::Broken(text, errors) => (text.clone(), json!({"data": null, "errors": errors})),
        other => (other.text(), json!({"data": null})),
    };
    if with_message {
        body["message"] = json!(format!("{text}\n"));
    }
    let reason = text.lines().next().unwrap_or_default().to_owned();
    Some(response(fail.status(), Some(&reason), Some(&body)))
}

fn response(status: u16, reason: Option<&str>, body: Option<&Json>) -> Response<Body> {
    let mut answer =
        Response::new(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
    *answer.status_mut() = StatusCode::from_u16(status).expect("statuses have three digits");
    let headers = answer.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("pve-api-daemon/3.0"));
    if body.is_some() {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json;charset=UTF-8"),
        );
    }
    if status >= 400 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(reason) = reason.and_then(|text| ReasonPhrase::try_from(text.as_bytes()).ok()) {
        answer.extensions_mut().insert(reason);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fail: Fail, status: u16, reason: &[u8]) {
        let answer = respond(&Err(fail), true).expect("there is an answer");
        assert_eq!(answer.status().as_u16(), status);
        let got = answer
            .extensions()
            .get::<ReasonPhrase>()
            .expect("there is a reason");
        assert_eq!(got.as_bytes(), reason);
        assert_eq!(answer.headers()[CONNECTION], "close");
    }

    #[test]
    fn failures_carry_their_text_in_the_reason() {
        check(
            Fail::died("VM is locked (backup)"),
            500,
            b"VM is locked (backup)",
        );
        check(
            Fail::param("vmid", "x"),
            400,
            b"Parameter verification failed.",
        );
        check(
            Fail::Denied("/vms/100, VM.Audit".to_owned()),
            403,
            b"Permission check failed (/vms/100, VM.Audit)",
        );
        check(Fail::bare(401, "No ticket"), 401, b"No ticket");
        check(Fail::plain(596, "Broken pipe"), 596, b"Broken pipe");
    }
}
