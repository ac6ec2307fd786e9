//! Tasks: work that goes on after its call was answered, under a UPID, in (scaled) time.
//!
//! What the work is stands with the calls that start it.

pub(crate) mod calls;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use serde_json::Value as Json;

use super::call::Call;
use super::reply::Reply;
use super::saved::{Word, word};
use super::world::World;

/// A task, running or ended.
#[derive(Deserialize, Serialize)]
pub(crate) struct Task {
    pub(crate) upid: String,
    pub(crate) node: String,
    pub(crate) pid: u32,
    pub(crate) pstart: u64,
    pub(crate) starttime: i64,
    pub(crate) endtime: Option<i64>,
    #[serde(deserialize_with = "word")]
    pub(crate) kind: Word,
    pub(crate) id: String,
    pub(crate) user: String,
    /// `OK`, `WARNINGS: n` or the error, once it has ended.
    pub(crate) exit: Option<String>,
    pub(crate) log: Vec<String>,
    pub(crate) warnings: u32,
    #[serde(skip)]
    pub(crate) abort: Option<tokio::task::AbortHandle>,
}

/// What a test wants a task to do.
#[derive(Clone, Debug)]
pub(crate) enum TaskOrder {
    /// Do nothing and fail so.
    Fail(String),
    /// Warn of this and go on.
    Warn(String),
    /// Die, and be unknown from then on.
    Vanish,
}

/// A task's own view of itself.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) world: Arc<World>,
    pub(crate) upid: String,
    order: Option<TaskOrder>,
}

impl Worker {
    /// Adds a line to the log.
    pub(crate) fn log(&self, line: impl Into<String>) {
        let line = line.into();
        self.world
            .change_task(&self.upid, |task| task.log.push(line));
    }

    /// Adds many lines.
    pub(crate) fn log_all(&self, lines: Vec<String>) {
        self.world
            .change_task(&self.upid, |task| task.log.extend(lines));
    }

    /// Adds a warning, which shows in the exit status.
    pub(crate) fn warn(&self, line: &str) {
        let line = format!("WARN: {line}");
        self.world.change_task(&self.upid, |task| {
            task.warnings += 1;
            task.log.push(line);
        });
    }

    /// Lets the time pass that this kind of work takes on a real node, scaled. Every task passes here,
    /// so that a test can make it fail.
    pub(crate) async fn takes(&self, on_a_node: Duration) -> Result<(), String> {
        let time = on_a_node.mul_f64(self.world.settings.task_time);
        self.world.clock.sleep(time).await;
        match &self.order {
            Some(TaskOrder::Fail(text)) => Err(text.clone()),
            Some(TaskOrder::Warn(text)) => {
                self.warn(text);
                Ok(())
            }
            Some(TaskOrder::Vanish) => {
                let abort = {
                    let mut state = self.world.state();
                    let at = state.tasks.iter().position(|task| task.upid == self.upid);
                    at.and_then(|at| state.tasks.remove(at).abort)
                };
                if let Some(abort) = abort {
                    abort.abort();
                }
                // The work ends here, with all its locks.
                std::future::pending().await
            }
            None => Ok(()),
        }
    }
}

impl Call {
    /// Starts a task of the sender on the node of the path and answers with its UPID.
    pub(crate) fn start_task<F>(
        &self,
        kind: &'static str,
        id: &str,
        work: impl FnOnce(Worker) -> F,
    ) -> Reply
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let upid = Task::spawn(
            &self.world,
            (self.node(), kind, id, &self.who.id),
            self.task_order.clone(),
            work,
        );
        Json::String(upid).into()
    }
}

impl Task {
    /// Starts a task: where, what, on what, by whom.
    pub(crate) fn spawn<F>(
        world: &Arc<World>,
        (node, kind, id, user): (&str, &'static str, &str, &str),
        order: Option<TaskOrder>,
        work: impl FnOnce(Worker) -> F,
    ) -> String
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let mut state = world.state();
        state.last_pid += 1;
        let pid = state.last_pid;
        let starttime = World::now();
        let pstart =
            u64::try_from(world.begun.elapsed().as_millis() / 10).unwrap_or_default() + 4096;
        let upid =
            format!("UPID:{node}:{pid:08X}:{pstart:08X}:{starttime:08X}:{kind}:{id}:{user}:");
        state.tasks.push(Self {
            upid: upid.clone(),
            node: node.to_owned(),
            pid,
            pstart,
            starttime,
            endtime: None,
            kind,
            id: id.to_owned(),
            user: user.to_owned(),
            exit: None,
            log: Vec::new(),
            warnings: 0,
            abort: None,
        });
        drop(state);
        let work = work(Worker {
            world: Arc::clone(world),
            upid: upid.clone(),
            order,
        });
        let running = tokio::spawn({
            let (world, upid) = (Arc::clone(world), upid.clone());
            async move {
                let result = work.await;
                world.change_task(&upid, |task| task.end(result));
            }
        });
        world.change_task(&upid, |task| task.abort = Some(running.abort_handle()));
        upid
    }

    /// Whether a task of this UPID belongs to `who`: the same user or token, or a token of the user.
    pub(crate) fn belongs_to(&self, who: &str) -> bool {
        self.user == who || self.user.split('!').next() == Some(who)
    }

    fn end(&mut self, result: Result<(), String>) {
        let (exit, line) = match result {
            Ok(()) if self.warnings > 0 => {
                let exit = format!("WARNINGS: {}", self.warnings);
                let line = format!("TASK {exit}");
                (exit, line)
            }
            Ok(()) => ("OK".to_owned(), "TASK OK".to_owned()),
            Err(text) => {
                let text = text.replace('\n', " ").trim_end().to_owned();
                let line = format!("TASK ERROR: {text}");
                (text, line)
            }
        };
        self.log.push(line);
        self.exit = Some(exit);
        self.endtime = Some(World::now());
    }

    /// Stops the work where it is, as a signal does.
    pub(crate) fn interrupt(&mut self) {
        if self.exit.is_none() {
            if let Some(abort) = &self.abort {
                abort.abort();
            }
            self.end(Err("received interrupt".to_owned()));
        }
    }
}

impl World {
    /// Waits for the end of a task and tells its exit status.
    pub(crate) async fn task_end(&self, upid: &str) -> String {
        loop {
            let exit = {
                let state = self.state();
                state
                    .tasks
                    .iter()
                    .find(|task| task.upid == upid)
                    .and_then(|task| task.exit.clone())
            };
            if let Some(exit) = exit {
                return exit;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn change_task(&self, upid: &str, change: impl FnOnce(&mut Task)) {
        let mut state = self.state();
        // The task is among the last, and after an interrupt its log stays as it is.
        let task = state.tasks.iter_mut().rev().find(|task| task.upid == upid);
        if let Some(task) = task.filter(|task| task.exit.is_none()) {
            change(task);
        }
    }
}
