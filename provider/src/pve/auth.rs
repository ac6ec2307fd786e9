//! The credential on each request: a token's header, or a ticket that is fetched, renewed and replaced.
//!
//! Stores nothing outside memory and logs no secret.

use std::{sync::Arc, time::Duration};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::{Call, Credential, Error, Params, Pve, Result, Secret};

/// PVE accepts a ticket for two hours; an answer to the renewal must come before.
const RENEW_AFTER: Duration = Duration::from_mins(100);

pub(super) struct Auth {
    credential: Credential,
    session: Mutex<Session>,
}

#[derive(Default)]
struct Session {
    ticket: Option<Arc<Ticket>>,
    /// PVE's answer to a refused login. Asking again costs 3 s each time and may lock the account.
    refused: Option<String>,
    /// A one-time password opens one session.
    otp_used: bool,
}

pub(super) struct Ticket {
    value: Secret<String>,
    csrf: Secret<String>,
    since: Instant,
}

#[derive(Deserialize)]
struct Granted {
    ticket: String,
    #[serde(default, rename = "CSRFPreventionToken")]
    csrf: String,
    #[serde(default, rename = "NeedTFA", deserialize_with = "super::lenient::flag")]
    second_factor: bool,
}

impl Auth {
    pub(super) fn new(credential: Credential) -> Self {
        Self {
            credential,
            session: Mutex::default(),
        }
    }

    /// The user, or the token's full id.
    pub(super) fn user(&self) -> &str {
        match &self.credential {
            Credential::Token(token) => token.expose().split_once('=').map_or("", |(id, _)| id),
            Credential::Password { username, .. } => username,
        }
    }

    pub(super) fn is_root(&self) -> bool {
        matches!(&self.credential, Credential::Password { username, .. } if username == "root@pam")
    }

    pub(super) fn is_token(&self) -> bool {
        matches!(self.credential, Credential::Token(_))
    }

    /// The headers for `call`, and the ticket in them, to be given to [`Auth::expire`] if PVE refuses it.
    pub(super) async fn headers(
        &self,
        pve: &Pve,
        call: &Call,
    ) -> Result<(HeaderMap, Option<Arc<Ticket>>)> {
        let mut headers = HeaderMap::new();
        match &self.credential {
            Credential::Token(token) => {
                insert(
                    &mut headers,
                    AUTHORIZATION,
                    &format!("PVEAPIToken={}", token.expose()),
                )?;
                Ok((headers, None))
            }
            Credential::Password {
                username,
                password,
                otp,
            } => {
                let mut session = self.session.lock().await;
                let ticket = session
                    .ticket(pve, username, password, otp.as_ref())
                    .await?;
                let cookie = utf8_percent_encode(ticket.value.expose(), NON_ALPHANUMERIC);
                insert(&mut headers, COOKIE, &format!("PVEAuthCookie={cookie}"))?;
                if !call.reads() {
                    insert(
                        &mut headers,
                        HeaderName::from_static("csrfpreventiontoken"),
                        ticket.csrf.expose(),
                    )?;
                }
                Ok((headers, Some(ticket)))
            }
        }
    }

    /// Forgets `used`, unless another call has already replaced it.
    pub(super) async fn expire(&self, used: &Arc<Ticket>) {
        let mut session = self.session.lock().await;
        if session
            .ticket
            .as_ref()
            .is_some_and(|ticket| Arc::ptr_eq(ticket, used))
        {
            session.ticket = None;
        }
    }
}

impl Session {
    async fn ticket(
        &mut self,
        pve: &Pve,
        username: &str,
        password: &Secret<String>,
        otp: Option<&Secret<String>>,
    ) -> Result<Arc<Ticket>> {
        if let Some(reason) = &self.refused {
            return Err(Error::Unauthenticated {
                reason: reason.clone(),
            });
        }
        let granted = match &self.ticket {
            Some(ticket) if ticket.since.elapsed() < RENEW_AFTER => return Ok(Arc::clone(ticket)),
            Some(ticket) => match log_in(pve, username, ticket.value.expose(), None).await {
                Err(Error::Unauthenticated { .. }) => {
                    self.log_in(pve, username, password, otp).await?
                }
                renewed => renewed?,
            },
            None => self.log_in(pve, username, password, otp).await?,
        };
        let ticket = Arc::new(Ticket {
            value: Secret::new(granted.ticket),
            csrf: Secret::new(granted.csrf),
            since: Instant::now(),
        });
        self.ticket = Some(Arc::clone(&ticket));
        Ok(ticket)
    }

    async fn log_in(
        &mut self,
        pve: &Pve,
        username: &str,
        password: &Secret<String>,
        otp: Option<&Secret<String>>,
    ) -> Result<Granted> {
        let result = async {
            let granted = log_in(pve, username, password.expose(), None).await?;
            match otp {
                _ if !granted.second_factor => Ok(granted),
                Some(otp) if !self.otp_used => {
                    self.otp_used = true;
                    let otp = otp.expose();
                    let kind = if otp.contains(':') { "" } else { "totp:" };
                    log_in(
                        pve,
                        username,
                        &format!("{kind}{otp}"),
                        Some(&granted.ticket),
                    )
                    .await
                }
                Some(_) => Err(refused(
                    "the session has ended and the one-time password is used up",
                )),
                None => Err(refused(
                    "the user has a second factor and no one-time password is given",
                )),
            }
        };
        let result = result.await;
        if let Err(Error::Unauthenticated { reason }) = &result {
            self.refused = Some(reason.clone());
        }
        result
    }
}

async fn log_in(
    pve: &Pve,
    username: &str,
    password: &str,
    challenge: Option<&str>,
) -> Result<Granted> {
    let params = Params::new()
        .with("username", Some(username))
        .secret("password", Some(password))
        .secret("tfa-challenge", challenge);
    let call = Call::post("/access/ticket", params);
    let reply = pve
        .exchange(&call, HeaderMap::new(), None)
        .await
        .map_err(|error| match error {
            // Logging in twice is harmless, and the call that needs it has not been sent.
            Error::OutcomeUnknown { source, .. } => pve.inner.transport.unreachable(source),
            other => other,
        })?;
    serde_json::from_value(reply.data(&call)?)
        .map_err(|error| Error::unexpected(call.name(), error))
}

fn refused(reason: &str) -> Error {
    Error::Unauthenticated {
        reason: reason.to_owned(),
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) -> Result<()> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| refused("it has characters that no header can carry"))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}
