use std::future::pending;

use tokio::sync::oneshot;
use tracing::Span;

use super::*;

#[tokio::test]
async fn a_task_gives_its_result() {
    assert_eq!(Task::spawn(Span::none(), async { 7 }).await, Ok(7));
}

#[tokio::test]
async fn dropping_the_handle_ends_the_task() {
    let (alive, ended) = oneshot::channel::<()>();
    let task = Task::spawn(Span::none(), async move {
        let _alive = alive;
        pending::<()>().await;
    });
    drop(task);
    assert!(ended.await.is_err());
}

#[tokio::test]
async fn dropping_the_set_ends_its_tasks() {
    let tasks = Tasks::new();
    let (alive, ended) = oneshot::channel::<()>();
    tasks.spawn(Span::none(), async move {
        let _alive = alive;
        pending::<()>().await;
    });
    drop(tasks);
    assert!(ended.await.is_err());
}

#[tokio::test]
async fn a_set_forgets_tasks_that_ended() {
    let tasks = Tasks::new();
    for _ in 0..10 {
        tasks.spawn(Span::none(), async {});
    }
    tasks.idle().await;
    assert!(tasks.is_empty());
}

#[tokio::test]
async fn a_panic_in_a_task_ends_the_parent() {
    let parent = Task::spawn(Span::none(), async {
        let tasks = Tasks::new();
        tasks.spawn(Span::none(), async { panic!("on purpose") });
        tasks.supervise(pending::<()>()).await;
    });
    assert_eq!(parent.await, Err(TaskError::Panicked));
}

#[tokio::test]
async fn aborted_is_not_panicked() {
    let task = Task::spawn(Span::none(), pending::<()>());
    task.abort();
    assert_eq!(task.await, Err(TaskError::Aborted));
}
