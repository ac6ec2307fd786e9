//! The simulator as its clients see it: over TLS, with real requests.

mod access;
mod agent;
mod alone;
mod containers;
mod disks;
mod faults;
mod files;
mod machines;
mod mappings;
mod network;
mod privileges;
mod protocol;
mod refusals;
mod releases;
mod storages;
mod time;

use std::sync::Arc;
use std::time::Duration;

use hyper::ext::ReasonPhrase;
use serde_json::Value as Json;

use super::{MemoryHypervisor, Options, Simulator};

/// What a call was answered with.
struct Answer {
    status: u16,
    reason: String,
    body: Json,
}

impl Answer {
    /// Status and reason in one, for short comparisons.
    fn line(&self) -> String {
        format!("{} {}", self.status, self.reason)
    }
}

/// A simulator with a client of it.
struct Lab {
    simulator: Simulator,
    machines: Arc<MemoryHypervisor>,
    http: reqwest::Client,
    token: String,
}

impl Lab {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let machines = Arc::new(MemoryHypervisor::default());
        let mut options = Options {
            hypervisor: machines.clone(),
            ..Options::default()
        };
        options.task_time = 0.0;
        options.login_delay = Duration::ZERO;
        change(&mut options);
        let simulator = Simulator::start(options)
            .await
            .expect("loopback has a free port");
        let ca = reqwest::Certificate::from_pem(simulator.ca_pem().as_bytes()).expect("it is PEM");
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([ca])
            .build();
        let token = simulator.token().to_owned();
        Self {
            simulator,
            machines,
            http: http.expect("the client builds"),
            token,
        }
    }

    /// The same for another token.
    fn by(self, token: String) -> Self {
        Self { token, ..self }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("it is a method");
        let url = format!("{}/api2/json{path}", self.simulator.endpoint());
        self.http
            .request(method, url)
            .header("authorization", format!("PVEAPIToken={}", self.token))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("there is an answer");
        let status = response.status();
        let given = response.extensions().get::<ReasonPhrase>();
        let reason = match given {
            Some(given) => String::from_utf8_lossy(given.as_bytes()).into_owned(),
            None => status.canonical_reason().unwrap_or_default().to_owned(),
        };
        let text = response.text().await.expect("the body comes");
        let body = serde_json::from_str(&text).unwrap_or(Json::String(text));
        Answer {
            status: status.as_u16(),
            reason,
            body,
        }
    }

    /// A call with parameters, in the query or in the body as the method has it.
    async fn call(&self, method: &str, path: &str, params: Json) -> Answer {
        let mut request = self.request(method, path);
        if matches!(method, "POST" | "PUT") {
            request = request
                .header("content-type", "application/json")
                .body(params.to_string());
        }
        self.send(request).await
    }

    /// Status and reason of a call, with what is wrong about its parameters.
    async fn line(&self, method: &str, path: &str, params: Json) -> String {
        let answer = self.call(method, path, params).await;
        match &answer.body["errors"] {
            Json::Null => answer.line(),
            errors => format!("{} {errors}", answer.status),
        }
    }

    async fn get(&self, path: &str) -> Json {
        let answer = self.call("GET", path, Json::Null).await;
        assert_eq!(answer.line(), "200 OK", "{path}");
        answer.body["data"].clone()
    }

    /// A call that starts a task; waits for its end and tells the exit status.
    async fn task(&self, method: &str, path: &str, params: Json) -> String {
        let answer = self.call(method, path, params).await;
        assert_eq!(answer.line(), "200 OK", "{path} {}", answer.body);
        let upid = answer.body["data"]
            .as_str()
            .expect("it is a UPID")
            .to_owned();
        self.simulator.world.task_end(&upid).await
    }
}
