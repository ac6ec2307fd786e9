//! Containers of Compose projects as `docker inspect` shows them.
//!
//! Does not judge them; `health` and `services` do.

/// One container of a Compose project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Id.
    pub id: String,
    /// Project it belongs to.
    pub project: String,
    /// Service it runs.
    pub service: String,
    /// Number among the replicas of the service, from 1.
    pub number: u32,
    /// Whether `docker compose run` made it.
    pub oneoff: bool,
    /// Image as the Compose text names it.
    pub image_ref: String,
    /// Id of the image that it runs.
    pub image_id: String,
    /// `sha256:…` of the image in its registry; none for an image that was never pulled.
    pub digest: Option<String>,
    /// State.
    pub state: State,
    /// Health; none without a check.
    pub health: Option<Health>,
    /// Last output of the health check.
    pub health_output: String,
    /// Exit status of the last run.
    pub exit_code: i64,
    /// Why it could not be started.
    pub error: String,
    /// How often Docker restarted it.
    pub restart_count: u64,
    /// RFC 3339; year 1 if it never ran.
    pub started_at: String,
    /// `no`, `always`, `unless-stopped` or `on-failure`.
    pub restart_policy: String,
    /// Declared ports, such as `8080:80/tcp`, sorted.
    pub ports: Vec<String>,
    /// Label `com.docker.compose.config-hash`.
    pub config_hash: String,
    /// Label `com.docker.compose.image`: id of the image that the name stood for when it was made.
    pub image_label: String,
}

/// State of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are Docker's")]
pub enum State {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

/// Health of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are Docker's")]
pub enum Health {
    Starting,
    Healthy,
    Unhealthy,
}
