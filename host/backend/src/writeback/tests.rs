// SPDX-License-Identifier: Apache-2.0

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Point, WriteFailed, Writeback};

const MIB: u64 = 1024 * 1024;

/// Defers a write of a mebibyte, which ends as the returned sender says.
fn defer(writeback: &Arc<Writeback>, point: Point) -> oneshot::Sender<Result<(), String>> {
    let (end, ended) = oneshot::channel();
    let room = writeback.room(MIB).expect("room");
    let write = async move { ended.await.unwrap_or_else(|_| Err("dropped".into())) };
    writeback.defer(room, point, write);
    end
}

/// Whether what stands at `point` may go out now.
async fn may_go(writeback: &Writeback, point: Point) -> bool {
    let settled = tokio::time::timeout(Duration::from_millis(1), writeback.settled(point));
    matches!(settled.await, Ok(Ok(())))
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_after_an_answer_waits_for_the_write() {
    let writeback = Writeback::new(64 * MIB);
    let before = writeback.point();
    assert!(writeback.is_clear());
    let end = defer(&writeback, before);
    let after = writeback.point();
    assert!(!writeback.is_clear());
    assert!(may_go(&writeback, before).await);
    assert!(!may_go(&writeback, after).await);
    end.send(Ok(())).expect("waited for");
    writeback.settled(after).await.expect("durable");
    writeback.cleared().await;
    assert!(writeback.is_clear());
}

#[tokio::test(start_paused = true)]
async fn writes_under_way_at_the_same_time_are_independent_and_later_ones_are_not() {
    let writeback = Writeback::new(64 * MIB);
    let point = writeback.point();
    let first = defer(&writeback, point);
    let (begun, mut begins) = oneshot::channel();
    let second = defer(&writeback, point);
    let room = writeback.room(MIB).expect("room");
    writeback.defer(room, writeback.point(), async move {
        begun.send(()).expect("waited for");
        Ok(())
    });
    let later = writeback.point();
    // Both of the first two are done at once; the third begins when both are durable.
    second.send(Ok(())).expect("waited for");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(begins.try_recv().is_err());
    assert!(!may_go(&writeback, later).await);
    first.send(Ok(())).expect("waited for");
    writeback.settled(later).await.expect("durable");
    begins.await.expect("begun");
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_nothing_goes_out() {
    let writeback = Writeback::new(64 * MIB);
    let end = defer(&writeback, writeback.point());
    let room = writeback.room(MIB).expect("room");
    writeback.defer(room, writeback.point(), async { panic!("begun") });
    end.send(Err("the store is gone".into()))
        .expect("waited for");
    let failure = WriteFailed("the store is gone".into());
    assert_eq!(writeback.failed().await, failure);
    assert_eq!(
        writeback.settled(writeback.point()).await,
        Err(failure.clone())
    );
    assert!(writeback.room(1).is_none());
    assert!(!writeback.is_clear());
    let cleared = tokio::time::timeout(Duration::from_secs(1), writeback.cleared());
    assert!(cleared.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_code_panics_has_failed() {
    let writeback = Writeback::new(MIB * 2);
    let room = writeback.room(MIB).expect("room");
    writeback.defer(room, writeback.point(), async {
        panic!("as the test wants it")
    });
    assert_eq!(
        writeback.failed().await,
        WriteFailed("it was given up".into())
    );
}

#[tokio::test(start_paused = true)]
async fn room_is_bounded_and_comes_back() {
    let writeback = Writeback::new(2 * MIB);
    assert!(writeback.room(3 * MIB).is_none());
    let end = defer(&writeback, writeback.point());
    assert!(writeback.room(MIB).is_none(), "a mebibyte and a little");
    end.send(Ok(())).expect("waited for");
    writeback.cleared().await;
    tokio::task::yield_now().await;
    assert!(writeback.room(MIB).is_some());
    assert!(Writeback::off().room(0).is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_deferred_while_somebody_waits_for_all() {
    let writeback = Writeback::new(64 * MIB);
    let end = defer(&writeback, writeback.point());
    let waiter = tokio::spawn({
        let writeback = Arc::clone(&writeback);
        async move { writeback.cleared().await }
    });
    tokio::task::yield_now().await;
    assert!(writeback.room(1).is_none());
    end.send(Ok(())).expect("waited for");
    waiter.await.expect("cleared");
    assert!(writeback.room(1).is_some());
}
