//! Certificate and withdraw requests: what they do to the grant they name.

use tunnel_certs::{
    issue::{GrantTerms, IssuedGrant},
    statement::{outcome::Issued, request::Certificate},
};
use tunnel_protos::{RequestId, UnixMillis, v1::ReceivedStatus};
use tunnel_runtime::chain;

use super::{Clerk, written};
use crate::{
    requests::{
        Record, answer,
        judge::{self, Refusal},
        state::State,
    },
    store::Store,
};

impl<S: Store> Clerk<S> {
    /// The serial is in the stored grant before the certificate goes anywhere.
    pub(super) async fn certify(
        &mut self,
        mut record: Record,
        asked: &Certificate,
        now: UnixMillis,
    ) -> ReceivedStatus {
        let certified = match self.certifiable(&record, asked, now) {
            Ok(grant) => self.issue(grant, asked, now),
            Err(refusal) => Err(refusal),
        };
        let (grant, issued) = match certified {
            Ok(certified) => certified,
            Err(refusal) => return self.deny(record, &refusal, now).await,
        };
        let event = written::certificate(&record, &grant, &issued);
        if self.audit.record(event).await.is_err() {
            return ReceivedStatus::Full;
        }
        let Ok(grant) = self.open_up(grant, now).await else { return ReceivedStatus::Full };
        record.conclude(State::Done, "", "Issued", now);
        record.deadlines = grant.deadlines;
        let issued = self.issued(&grant, issued, now);
        self.finish(record, Some(issued), now).await
    }

    fn certifiable(&self, record: &Record, asked: &Certificate, now: UnixMillis) -> Result<Record, Refusal> {
        let policy = self.policy.borrow().clone();
        let book = self.shared.book.read();
        let found = judge::certificate(&book, &policy, &asked.grant, &record.operator, record.issued, now);
        if let Some(pause) = &*self.shared.standing.paused().borrow() {
            // Who would get none anyway learns that it is paused, not by whom and why.
            let said = found.map_or_else(|_| "Paused by the customer".to_owned(), |_| pause.sentence());
            return Err(Refusal::new("pause", format!("{said}; ask again when work goes on")));
        }
        found.cloned()
    }

    fn issue(
        &self,
        mut grant: Record,
        asked: &Certificate,
        now: UnixMillis,
    ) -> Result<(Record, IssuedGrant), Refusal> {
        let clocks = *self.policy.borrow().clocks();
        let grant_end = grant.work_end(&clocks, now);
        let terms =
            GrantTerms { label: self.room.label, grant: asked.grant, ttl: clocks.certificate_ttl, grant_end };
        let refused = |why: String| Refusal::new("certificate", why);
        let access = self.room.access.borrow().clone();
        let issued = access.current().issue_grant(&asked.csr, &terms, now);
        let issued = issued.map_err(|error| refused(chain(&error).to_string()))?;
        let first = grant.deadlines.work.is_none();
        let claimed = grant.claim(issued.serial, issued.not_after, grant_end, now);
        claimed.map_err(|error| refused(error.to_string()))?;
        if first {
            let answered = answer::renew(&mut grant, None, &self.room, now);
            answered.map_err(|error| refused(chain(&error).to_string()))?;
        }
        Ok((grant, issued))
    }

    fn issued(&self, grant: &Record, issued: IssuedGrant, now: UnixMillis) -> Issued {
        let doors = grant.access().map(|access| access.doors.clone()).unwrap_or_default();
        Issued {
            certificate: issued.certificate,
            doors: doors.into_iter().collect(),
            anchors: self.room.access.borrow().anchors(now),
        }
    }

    pub(super) async fn withdraw(
        &mut self,
        mut record: Record,
        wanted: &RequestId,
        now: UnixMillis,
    ) -> ReceivedStatus {
        let found = judge::withdraw(&self.shared.book.read(), wanted, &record.operator).cloned();
        let mut withdrawn = match found {
            Ok(found) => found,
            Err(refusal) => return self.deny(record, &refusal, now).await,
        };
        // The judge has seen that it can be.
        let _ = withdrawn.withdraw(now);
        // In effect at once; but a kill would take back what is not stored, so that it must not be told.
        if self.close(withdrawn, now).await.is_err() {
            return ReceivedStatus::Full;
        }
        record.conclude(State::Done, "", "Withdrawn", now);
        self.finish(record, None, now).await
    }

    async fn deny(&mut self, mut record: Record, refusal: &Refusal, now: UnixMillis) -> ReceivedStatus {
        record.conclude(State::Denied, &refusal.rule, &refusal.why, now);
        self.finish(record, None, now).await
    }
}
