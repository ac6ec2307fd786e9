//! Sends a recorded call to the simulator, with its own credentials and ids in the place of the recorded.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use reqwest::multipart::{Form, Part};
use serde_json::{Map, Value as Json};

use super::compare::Answer;
use super::{Record, files};

/// Which token a recorded label stands for. Every other label that ends in `-token` is a bad token.
const TOKENS: &[(&str, &str)] = &[
    ("root-token", "root@pam!full"),
    ("sep-token", "root@pam!sep"),
    ("alice-token", "alice@pve!t1"),
    ("tf-token", "tf@pve!prov"),
];

/// Credentials and ids of the simulator by the recorded ones.
pub(super) struct Sender {
    http: reqwest::Client,
    endpoint: String,
    root_password: String,
    files: SocketAddr,
    /// Ticket and CSRF token by user.
    tickets: BTreeMap<String, (String, String)>,
    /// Passwords that the recording sets, by user.
    passwords: BTreeMap<String, String>,
    /// Secrets by token.
    tokens: BTreeMap<String, String>,
    /// Our UPIDs, digests and process ids by the recorded ones.
    ours: BTreeMap<String, String>,
}

fn quoted(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn scalar(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

impl Sender {
    pub(super) fn new(
        http: reqwest::Client,
        endpoint: String,
        root_password: String,
        files: SocketAddr,
    ) -> Self {
        let passwords = BTreeMap::from([("root@pam".to_owned(), root_password.clone())]);
        Self {
            http,
            endpoint,
            root_password,
            files,
            tickets: BTreeMap::new(),
            passwords,
            tokens: BTreeMap::new(),
            ours: BTreeMap::new(),
        }
    }

    /// Sends it, and learns what the answer gives.
    pub(super) async fn send(&mut self, record: &Record) -> Answer {
        let request = self.request(record).await;
        let answer = receive(request).await;
        self.learn(record, &answer);
        answer
    }

    /// Our UPID of a recorded one.
    pub(super) fn upid(&self, recorded: &str) -> Option<&str> {
        self.ours.get(recorded).map(String::as_str)
    }

    /// A call that is not recorded.
    pub(super) async fn call(
        &mut self,
        label: &str,
        method: &str,
        path: &str,
        params: &[(String, Json)],
    ) -> Answer {
        let url = format!("{}{}", self.endpoint, self.path(path));
        let verb: reqwest::Method = method.parse().unwrap_or_default();
        let mut request = self.http.request(verb, url);
        if matches!(method, "POST" | "PUT") {
            request = request.body(form(params));
        }
        receive(self.authorized(label, method, true, request).await).await
    }

    async fn request(&mut self, record: &Record) -> reqwest::RequestBuilder {
        let method: reqwest::Method = record.method.parse().unwrap_or_default();
        let mut params = Vec::new();
        for (key, value) in record.params.iter().flatten() {
            params.push((key.clone(), self.param(record, key, value).await));
        }
        let kind = record.request_headers.get("Content-Type");
        let kind = kind.map_or("", String::as_str);
        let mut url = format!("{}{}", self.endpoint, self.path(&record.path));
        let has_body = matches!(record.method.as_str(), "POST" | "PUT");
        if !has_body && !params.is_empty() {
            url = format!("{url}?{}", form(&params));
        }
        let mut request = self.http.request(method, url);
        if kind.starts_with("multipart/") {
            request = request.multipart(multipart(record, &params));
        } else if kind.contains("json") {
            let object: Map<String, Json> = params.into_iter().collect();
            request = request
                .header(CONTENT_TYPE, kind)
                .body(Json::Object(object).to_string());
        } else if has_body {
            let body = form(&params);
            if !kind.is_empty() {
                request = request.header(CONTENT_TYPE, kind);
            }
            request = request.header("content-length", body.len()).body(body);
        }
        self.authorize(record, request).await
    }

    /// The path with our UPID in the place of the recorded one.
    fn path(&self, recorded: &str) -> String {
        let part = |part: &str| {
            let decoded = percent_decode_str(part).decode_utf8_lossy();
            match self.ours.get(decoded.as_ref()) {
                Some(ours) => quoted(ours),
                None => part.to_owned(),
            }
        };
        recorded.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// What is sent in the place of a recorded value.
    async fn param(&mut self, record: &Record, key: &str, value: &Json) -> Json {
        let text = scalar(value);
        let ours = match key {
            "password" if text == "<root-password>" => Some(self.root_password.clone()),
            "checksum" => files::checksum(record, &text),
            "digest" if !self.ours.contains_key(&text) && record.status == 200 => {
                self.present_digest(record).await
            }
            "digest" | "pid" | "upid" => self.ours.get(&text).cloned(),
            "url" => Some(self.url(&text)),
            _ => match text
                .strip_prefix("<ticket:")
                .and_then(|text| text.strip_suffix('>'))
            {
                Some(label) => Some(self.ticket(label).await.0),
                None => None,
            },
        };
        ours.map_or_else(|| value.clone(), Json::String)
    }

    /// The recorder's web server is ours.
    fn url(&self, text: &str) -> String {
        let is_files = text.starts_with("http://127.0.0.1:8099/");
        let ours = format!("127.0.0.1:{}", self.files.port());
        if is_files {
            text.replace("127.0.0.1:8099", &ours)
        } else {
            text.to_owned()
        }
    }

    /// The digest that a call with the right one would carry.
    async fn present_digest(&mut self, record: &Record) -> Option<String> {
        let label = record.auth.clone().unwrap_or_default();
        let answer = self.call(&label, "GET", &record.path, &[]).await;
        answer.data()["digest"].as_str().map(str::to_owned)
    }

    async fn authorize(
        &mut self,
        record: &Record,
        request: reqwest::RequestBuilder,
    ) -> reqwest::RequestBuilder {
        let token = |separator: &str| {
            let secret = self
                .tokens
                .get("root@pam!full")
                .cloned()
                .unwrap_or_default();
            format!(
                "PVEAPIToken{}root@pam!full{}{secret}",
                &separator[..1],
                &separator[1..]
            )
        };
        let csrf = record.csrf_sent != Some(false);
        match (&record.auth, record.note.as_deref().unwrap_or_default()) {
            (Some(label), _) => {
                let label = label.clone();
                self.authorized(&label, &record.method, csrf, request).await
            }
            // The headers of these were not kept.
            (None, "Bearer scheme") => request.header(AUTHORIZATION, "Bearer x"),
            (None, "token with space instead of =") => request.header(AUTHORIZATION, token(" =")),
            (None, "token with : instead of =") => request.header(AUTHORIZATION, token("=:")),
            (None, "garbage ticket") => request.header(COOKIE, "PVEAuthCookie=garbage"),
            (None, _) => request,
        }
    }

    async fn authorized(
        &mut self,
        label: &str,
        method: &str,
        csrf: bool,
        request: reqwest::RequestBuilder,
    ) -> reqwest::RequestBuilder {
        if label.ends_with("-ticket") {
            let (ticket, token) = self.ticket(label).await;
            let request = request.header(COOKIE, format!("PVEAuthCookie={}", quoted(&ticket)));
            return if csrf && method != "GET" {
                request.header("CSRFPreventionToken", token)
            } else {
                request
            };
        }
        let known = TOKENS.iter().find(|(known, _)| *known == label);
        let (_, id) = known.unwrap_or(&("", "root@pam!bad"));
        let secret = self.tokens.get(*id).map_or("bad", String::as_str);
        request.header(AUTHORIZATION, format!("PVEAPIToken={id}={secret}"))
    }

    /// The ticket of `root-ticket` and the like; the user logs in where the recording has no login.
    async fn ticket(&mut self, label: &str) -> (String, String) {
        let user = match label.trim_end_matches("-ticket") {
            "root" => "root@pam".to_owned(),
            name => format!("{name}@pve"),
        };
        if let Some(known) = self.tickets.get(&user) {
            return known.clone();
        }
        let password = self.passwords.get(&user).cloned().unwrap_or_default();
        let login = [
            ("username".to_owned(), Json::String(user.clone())),
            ("password".to_owned(), Json::String(password)),
        ];
        let url = format!("{}/api2/json/access/ticket", self.endpoint);
        let request = self.http.post(url).body(form(&login));
        let answer = receive(request).await;
        let text = |key: &str| answer.data()[key].as_str().unwrap_or_default().to_owned();
        let pair = (text("ticket"), text("CSRFPreventionToken"));
        self.tickets.insert(user, pair.clone());
        pair
    }

    fn learn(&mut self, record: &Record, answer: &Answer) {
        let (ours, theirs) = (answer.data(), record.data());
        let text = |value: &Json, key: &str| value[key].as_str().map(str::to_owned);
        if let (Some(ours), Some(theirs)) = (ours.as_str(), theirs.as_str())
            && theirs.starts_with("UPID:")
        {
            self.ours.insert(theirs.to_owned(), ours.to_owned());
        }
        if let (Some(ours), Some(theirs)) = (text(ours, "digest"), text(theirs, "digest")) {
            self.ours.insert(theirs, ours);
        }
        if let (Json::Number(ours), Json::Number(theirs)) = (&ours["pid"], &theirs["pid"]) {
            self.ours.insert(theirs.to_string(), ours.to_string());
        }
        if let (Some(user), Some(ticket)) = (text(ours, "username"), text(ours, "ticket")) {
            let csrf = text(ours, "CSRFPreventionToken").unwrap_or_default();
            self.tickets.insert(user, (ticket, csrf));
        }
        if let (Some(id), Some(secret)) = (text(ours, "full-tokenid"), text(ours, "value")) {
            self.tokens.insert(id, secret);
        }
        let param = |name: &str| {
            let mut all = record.params.iter().flatten();
            all.find(|(key, _)| key == name)
                .map(|(_, value)| scalar(value))
        };
        let sets_password =
            record.path.ends_with("/access/users") || record.path.ends_with("/access/password");
        if let (true, 200, Some(user), Some(password)) = (
            sets_password,
            answer.status,
            param("userid"),
            param("password"),
        ) {
            self.passwords.insert(user, password);
        }
    }
}

fn form(params: &[(String, Json)]) -> String {
    let pair = |key: &str, value: &Json| format!("{}={}", quoted(key), quoted(&scalar(value)));
    let pairs = params.iter().flat_map(|(key, value)| match value {
        Json::Array(items) => items.iter().map(|item| pair(key, item)).collect(),
        value => vec![pair(key, value)],
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// The form of an upload: the fields in their order, then the file.
fn multipart(record: &Record, params: &[(String, Json)]) -> Form {
    let mut form = Form::new();
    let mut file = None;
    for (key, value) in params {
        let text = scalar(value);
        match files::upload_name(&text) {
            Some(name) => {
                let part = Part::bytes(files::uploaded(record, name)).file_name(name.to_owned());
                file = Some((key.clone(), part));
            }
            None => form = form.text(key.clone(), text),
        }
    }
    match file {
        Some((key, part)) => form.part(key, part),
        None => form,
    }
}

async fn receive(request: reqwest::RequestBuilder) -> Answer {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            return Answer {
                reason: error.to_string(),
                ..Answer::default()
            };
        }
    };
    let status = response.status();
    let given = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = match given {
        Some(given) => String::from_utf8_lossy(given.as_bytes()).into_owned(),
        None => status.canonical_reason().unwrap_or_default().to_owned(),
    };
    let text = response.text().await.unwrap_or_default();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer {
        status: status.as_u16(),
        reason,
        body,
    }
}
