//! The connections that requests share: none of them waits for one for ever.

use std::sync::mpsc;
use std::time::Duration;

use tidings::store::{Store, StoreError};

use crate::helpers::database::TestDatabase;

#[test]
fn a_request_waits_for_a_connection_for_a_moment_and_other_work_until_there_is_one() {
    let database = TestDatabase::new();
    let store = Store::connect(&database.url, 1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (release, held) = mpsc::channel::<()>();
        let (taken, is_taken) = tokio::sync::oneshot::channel();
        let holder = tokio::spawn({
            let store = store.clone();
            async move {
                store
                    .run(move |_| {
                        let _ = taken.send(());
                        let _ = held.recv();
                        Ok(())
                    })
                    .await
            }
        });
        is_taken.await.unwrap();
        let patient = tokio::spawn({
            let store = store.clone();
            async move { store.run_patiently(|_| Ok(7)).await }
        });
        let refused = tokio::time::timeout(Duration::from_secs(30), store.run(|_| Ok(()))).await;
        let error = refused.expect("no wait without an end").unwrap_err();
        assert!(matches!(error, StoreError::Busy) && error.temporary(), "{error}");
        assert_eq!(store.run_alone(|_| Ok(8)).await.unwrap(), 8, "a session of its own needs none of them");
        assert!(!patient.is_finished());
        release.send(()).unwrap();
        holder.await.unwrap().unwrap();
        assert_eq!(patient.await.unwrap().unwrap(), 7);
        store.run(|_| Ok(())).await.unwrap();
    });
}
