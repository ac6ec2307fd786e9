//! Who sends a request: tokens, tickets, and the refusals that come before any call.
//!
//! What that user may do is decided elsewhere.

use hyper::HeaderMap;
use percent_encoding::percent_decode_str;

use super::Access;
use crate::simulator::release::Release;
use crate::simulator::reply::Fail;

/// The sender of a request.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// `user@realm` or `user@realm!token`.
    pub(crate) id: String,
}

impl Who {
    /// Whether it is `root@pam` itself; a token of root is not.
    pub(crate) fn is_root(&self) -> bool {
        self.id == "root@pam"
    }

    /// Whether it is a token.
    pub(crate) fn is_token(&self) -> bool {
        self.id.contains('!')
    }
}

/// Finds the sender. `now` is in seconds since 1970.
pub(crate) fn identify(
    access: &Access,
    headers: &HeaderMap,
    method: &str,
    exempt_from_csrf: bool,
    now: i64,
) -> Result<Who, Fail> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization");
    let ticket = header("cookie")
        .and_then(|cookies| {
            cookies
                .split(';')
                .find_map(|c| scheme(c.trim(), "PVEAuthCookie"))
        })
        .or_else(|| authorization.and_then(|value| scheme(value, "PVEAuthCookie")));
    // Older releases tell strangers why.
    let failed = |why: &str| match access.release {
        Release::V9_2 => Fail::bare(401, "Authentication failed!"),
        _ => Fail::bare(401, why),
    };
    if let Some(ticket) = ticket {
        let (user, csrf) = access
            .tickets
            .get(&ticket)
            .ok_or_else(|| failed("permission denied - invalid PVE ticket"))?;
        if method != "GET" && !exempt_from_csrf && header("csrfpreventiontoken") != Some(csrf) {
            return Err(Fail::bare(401, "Permission denied - invalid csrf token"));
        }
        return Ok(Who { id: user.clone() });
    }
    let Some(value) = authorization.and_then(|value| scheme(value, "PVEAPIToken")) else {
        return Err(Fail::bare(401, "No ticket"));
    };
    let malformed = || failed("no tokenid specified");
    let (id, secret) = value.split_once('=').ok_or_else(malformed)?;
    let (user, name) = id.split_once('!').ok_or_else(malformed)?;
    let unknown = || failed(&format!("no such token '{name}' for user '{user}'"));
    let token = access.token(id).ok_or_else(unknown)?;
    let user = access.users.get(user).ok_or_else(unknown)?;
    let ended = |expire: i64| expire != 0 && expire <= now;
    if user.disabled || ended(user.expire) || ended(token.expire) {
        return Err(failed("token access expired"));
    }
    if token.secret != secret {
        return Err(failed("invalid token value!"));
    }
    Ok(Who { id: id.to_owned() })
}

/// The unescaped value of `NAME=value` or `NAME value`, up to a semicolon.
fn scheme(text: &str, name: &str) -> Option<String> {
    let value = text.strip_prefix(name)?.strip_prefix(['=', ' '])?;
    let value = value.split(';').next().unwrap_or_default();
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Token, User};
    use super::*;

    #[track_caller]
    fn check(header: &str, value: &str, method: &str, expected: Result<&str, &str>) {
        let mut access = Access::new("x", Release::default());
        let token = Token {
            secret: "s".to_owned(),
            separated: false,
            expire: 0,
            comment: None,
        };
        let mut user = User::default();
        user.tokens.insert(
            "old".to_owned(),
            Token {
                expire: 5,
                ..token.clone()
            },
        );
        user.tokens.insert("t".to_owned(), token);
        access.users.insert("a@pve".to_owned(), user);
        access
            .tickets
            .insert("PVE:x".to_owned(), ("root@pam".to_owned(), "c".to_owned()));
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert(
                hyper::header::HeaderName::from_bytes(header.as_bytes()).expect("a header name"),
                value.parse().expect("a header value"),
            );
        }
        let got = identify(&access, &headers, method, false, 10);
        let got = got.map(|who| who.id).map_err(|fail| fail.text());
        assert_eq!(got.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn credentials_are_told_apart() {
        check("", "", "GET", Err("No ticket"));
        check("authorization", "Bearer x", "GET", Err("No ticket"));
        check(
            "authorization",
            "PVEAPIToken=a@pve!t=s",
            "POST",
            Ok("a@pve!t"),
        );
        check(
            "authorization",
            "PVEAPIToken a@pve!t=s",
            "GET",
            Ok("a@pve!t"),
        );
        check(
            "authorization",
            "PVEAPIToken=a@pve!t=no",
            "GET",
            Err("Authentication failed!"),
        );
        check(
            "authorization",
            "PVEAPIToken=a@pve!old=s",
            "GET",
            Err("Authentication failed!"),
        );
        check(
            "authorization",
            "PVEAPIToken=a@pve!t:s",
            "GET",
            Err("Authentication failed!"),
        );
        check("cookie", "PVEAuthCookie=PVE%3Ax", "GET", Ok("root@pam"));
        check(
            "cookie",
            "PVEAuthCookie=PVE%3Ax",
            "PUT",
            Err("Permission denied - invalid csrf token"),
        );
        check(
            "cookie",
            "PVEAuthCookie=nonsense",
            "GET",
            Err("Authentication failed!"),
        );
    }
}
