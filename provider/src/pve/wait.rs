//! Waiting for tasks: until they end, why they failed, what they warned of.
//!
//! Leaves a task running when the time is up: what it does may be wanted.

use std::time::Duration;

use tokio::time::Instant;

use super::{Answer, Call, Error, Params, Patience, Pve, Result, Upid, task};

impl Pve {
    /// Waits for a task to end well, and gives its warnings.
    ///
    /// # Errors
    /// [`Error::Task`] with the last lines of the log if it ended otherwise; [`Error::TimedOut`], [`Error::Cancelled`]
    /// while it goes on.
    pub async fn wait(&self, upid: &Upid) -> Result<Vec<String>> {
        let what = upid.what();
        let ended = self.ended(upid, &what).await;
        upid.held.release();
        self.invalidate();
        match ended {
            Ok(exit) if !task::succeeded(&exit) => Err(Error::Task {
                log: self.log_tail(upid).await,
                upid: upid.to_string(),
                what,
                exit,
            }),
            Ok(exit) if task::warned(&exit) => {
                let log = self.log(upid).await.unwrap_or_default();
                Ok(task::warnings(&what, &exit, &log))
            }
            Ok(_) => Ok(Vec::new()),
            Err(Error::TimedOut {
                waiting_for, after, ..
            }) => {
                // The deadline is over; a moment more tells what the task was doing.
                let moment =
                    self.within(Instant::now() + Duration::from_secs(3), self.scope.cancel());
                Err(Error::TimedOut {
                    waiting_for,
                    after,
                    last: moment.log_tail(upid).await.pop(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Stops a task and waits for its end: once it returns, the task has cleaned up after itself. The work that the
    /// operation leaves undone is no reason to fail, so it has some seconds of its own, also when that is cancelled.
    pub async fn stop(&self, upid: &Upid) -> Result<()> {
        let lasting = self.lasting();
        let path = format!("/nodes/{}/tasks/{upid}", upid.node);
        lasting.send(&Call::delete(path, Params::new())).await?;
        lasting.ended(upid, &upid.what()).await?;
        upid.held.release();
        Ok(())
    }

    async fn ended(&self, upid: &Upid, what: &str) -> Result<String> {
        let status = Call::get(
            format!("/nodes/{}/tasks/{upid}/status", upid.node),
            Params::new(),
        );
        let longest = Duration::from_secs(2);
        self.scope.pause(what, Duration::from_millis(100)).await?;
        self.poll(what, Duration::from_millis(150), longest, || async {
            let status: task::Status = self.get(&status).await?;
            Ok((status.status == "stopped").then(|| status.exitstatus.unwrap_or_default()))
        })
        .await
    }

    async fn log(&self, upid: &Upid) -> Result<Vec<String>> {
        let path = format!("/nodes/{}/tasks/{upid}/log", upid.node);
        let lines: Vec<task::LogLine> = self
            .get(&Call::get(path, Params::new().with("limit", Some(0))))
            .await?;
        Ok(lines.into_iter().map(|line| line.t).collect())
    }

    /// The last lines of the log but the one that repeats the exit status; the log is an extra, so no errors.
    async fn log_tail(&self, upid: &Upid) -> Vec<String> {
        let mut log = self.log(upid).await.unwrap_or_default();
        log.retain(|line| {
            !line.starts_with("TASK ") && !line.trim().is_empty() && line != "no content"
        });
        log.split_off(log.len().saturating_sub(12))
    }

    /// Sends each call and waits for its task before the next. Gives the warnings of all.
    pub async fn run(&self, calls: impl IntoIterator<Item = Call>) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for call in calls {
            let mut patience = Patience::default();
            loop {
                let Answer::Task(upid) = self.send(&call).await? else {
                    break;
                };
                match self.wait(&upid).await {
                    Ok(more) => {
                        warnings.extend(more);
                        break;
                    }
                    Err(error) if error.is_locked() => {
                        self.again(&call, error, &mut patience).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(warnings)
    }
}
